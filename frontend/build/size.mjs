// Checks the size budgets of a finished build: gzip bytes of what each page loads, from the files beside dist/*.gz.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const dist = 'dist';
const kB = 1000;
const files = await readdir(join(dist, 'assets'));
const html = await readFile(join(dist, 'index.html'), 'utf8');
const first = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1]);
const lazy = (...names) =>
	files
		.filter((file) => /\.(js|css)$/.test(file) && names.some((name) => file.startsWith(`${name}-`)))
		.map((file) => `assets/${file}`);

const pages = [
	{ page: 'start and sign-in', files: first, js: 60 * kB, css: 15 * kB, requests: 8 },
	{ page: 'dashboard', files: [...first, ...lazy('DashboardPage')], js: 90 * kB, css: 25 * kB },
	{ page: 'before a meeting', files: [...first, ...lazy('MeetPage')], js: 120 * kB, css: 25 * kB },
	{
		page: 'in a meeting',
		files: [...first, ...lazy('MeetPage', 'RoomView', 'call.svelte', 'livekit')],
		js: 300 * kB,
		css: 25 * kB,
	},
];

const size = async (file) => gzipSync(await readFile(join(dist, file)), { level: 9 }).length;
let failed = false;
for (const { page, files: wanted, js, css, requests } of pages) {
	const sum = async (ending) =>
		(await Promise.all(wanted.filter((f) => f.endsWith(ending)).map(size))).reduce((a, b) => a + b, 0);
	const [scripts, styles] = [await sum('.js'), await sum('.css')];
	const over = scripts > js || styles > css || (requests && wanted.length + 1 > requests);
	failed ||= over;
	const show = (bytes, limit) => `${(bytes / kB).toFixed(1)} of ${limit / kB} kB`;
	console.log(
		`${over ? 'OVER' : 'ok  '}  ${page.padEnd(18)} JS ${show(scripts, js)}, CSS ${show(styles, css)}, ${wanted.length + 1} files`,
	);
}

if (first.some((file) => file.includes('livekit'))) {
	console.log('OVER  livekit-client is loaded before it is needed');
	failed = true;
}

let stored = 0;
for (const entry of await readdir(dist, { recursive: true }))
	if (entry.endsWith('.br')) stored += (await stat(join(dist, entry))).size;
const over = stored > 3000 * kB;
console.log(`${over ? 'OVER' : 'ok  '}  brotli files together ${(stored / kB).toFixed(0)} of 3000 kB`);
process.exit(failed || over ? 1 : 0);
