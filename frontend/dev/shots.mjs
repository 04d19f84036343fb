// Takes a picture of every screen: node dev/shots.mjs [name part] (needs `npm run dev:mock` and a Chromium).
// With AXE=path/to/axe.min.js it also reports accessibility problems.
import { mkdir } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const base = process.env.BASE ?? 'http://localhost:5173';
const only = process.argv[2] ?? '';
const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

const id = (name) => `[data-testid="${name}"]`;
const signIn = async (page) => {
	await page.goto(`${base}/auth/login`);
	await page.fill(id('email'), 'ana@example.org');
	await page.fill(id('password'), 'correct horse battery');
	await page.click(id('login-submit'));
	await page.waitForURL('**/dashboard');
};
const join =
	(query, camera = true) =>
	async (page) => {
		await signIn(page);
		await page.goto(`${base}/m/weekly-planning${query}`);
		if (camera) await page.click(id('prejoin-camera'));
		await page.waitForTimeout(600);
		await page.click(id('prejoin-join'));
		await page.waitForSelector(id('room'));
		await page.waitForTimeout(900);
	};

const screens = {
	home: (page) => page.goto(base),
	login: (page) => page.goto(`${base}/auth/login`),
	'login-error': async (page) => {
		await page.goto(`${base}/auth/login`);
		await page.fill(id('email'), 'ana@example.org');
		await page.fill(id('password'), 'short');
		await page.click(id('login-submit'));
	},
	register: async (page) => {
		await page.goto(`${base}/auth/register`);
		await page.fill(id('email'), 'nonsense');
		await page.click(id('register-submit'));
	},
	setup: (page) => page.goto(`${base}/setup?token=x`),
	guest: (page) => page.goto(`${base}/m/weekly-planning`),
	dashboard: signIn,
	create: async (page) => {
		await signIn(page);
		await page.click(id('create-room'));
		await page.fill(id('room-name'), 'Product sync');
	},
	prejoin: async (page) => {
		await signIn(page);
		await page.goto(`${base}/m/weekly-planning`);
		await page.click(id('prejoin-camera'));
		await page.waitForTimeout(1200);
	},
	'prejoin-off': async (page) => {
		await signIn(page);
		await page.goto(`${base}/m/weekly-planning`);
		await page.waitForTimeout(900);
	},
	alone: join('?people=0'),
	two: join('?people=1'),
	five: join('?people=4'),
	twelve: join('?people=11'),
	share: join('?people=3&screen=1'),
	chat: async (page) => {
		await join('?people=3')(page);
		await page.evaluate(() => window.__mock.say('p-0', 'Good morning! Slides are at https://example.org/slides.'));
		await page.waitForTimeout(300);
		await page.click(id('toggle-chat'));
		await page.evaluate(() => window.__mock.say('p-0', '🎉'));
		await page.evaluate(() => window.__mock.say('p-1', 'Thanks, the **new** figures look *much* better than `v1`'));
		await page.fill(id('chat-input'), 'Shall we start?');
		await page.click(id('chat-send'));
		await page.waitForTimeout(400);
	},
	'chat-toast': async (page) => {
		await join('?people=3')(page);
		await page.evaluate(() => window.__mock.say('p-0', 'Good morning! Can everybody see the figures?'));
		await page.waitForTimeout(500);
	},
	people: async (page) => {
		await join('?people=7')(page);
		await page.click(id('toggle-people'));
		await page.waitForTimeout(300);
	},
	more: async (page) => {
		await join('?people=2')(page);
		await page.click(id('toggle-more'));
	},
	reconnecting: async (page) => {
		await join('?people=2')(page);
		await page.evaluate(() => window.__mock.emit('signalReconnecting'));
		await page.waitForTimeout(1000);
	},
	leave: async (page) => {
		await join('?people=2')(page);
		await page.click(id('leave'));
	},
	shortcuts: async (page) => {
		await join('?people=2')(page);
		await page.keyboard.press('?');
	},
	left: async (page) => {
		await join('?people=2')(page);
		await page.click(id('leave'));
		await page.click(id('leave-only'));
	},
	refused: async (page) => {
		await signIn(page);
		await page.goto(`${base}/m/private-room`);
	},
	missing: (page) => page.goto(`${base}/nowhere`),
};

async function audit(page, where) {
	await page.addScriptTag({ path: process.env.AXE });
	const found = await page.evaluate(async () => {
		const { violations } = await window.axe.run(document, {
			runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'],
		});
		return violations.map(
			(v) =>
				`${v.id}: ${v.nodes
					.map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`)
					.slice(0, 3)
					.join(' | ')}`,
		);
	});
	for (const line of found) console.log(where, line);
}

await mkdir('shots', { recursive: true });
const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
});
for (const [name, visit] of Object.entries(screens)) {
	if (only && !only.split(',').some((part) => name.startsWith(part))) continue;
	for (const [size, viewport] of Object.entries(sizes)) {
		for (const colorScheme of (process.env.SCHEMES ?? 'light,dark').split(',')) {
			const context = await browser.newContext({
				viewport,
				colorScheme,
				isMobile: size === 'phone',
				hasTouch: size === 'phone',
			});
			const page = await context.newPage();
			page.on('pageerror', (error) => console.error(name, size, error.message));
			page.on('console', (message) => {
				if (message.type() === 'error') console.error(name, size, message.text());
			});
			try {
				await visit(page);
				await page.waitForTimeout(500);
			} catch (error) {
				console.error('FAILED', name, size, String(error).slice(0, 300));
			}
			if (process.env.AXE) await audit(page, `${name} ${size} ${colorScheme}`);
			await page.screenshot({ path: `shots/${name}-${size}-${colorScheme}.png` });
			await context.close();
		}
	}
}
await browser.close();
