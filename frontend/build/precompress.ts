import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Plugin } from 'vite';

const compressible = /\.(js|css|html|svg|json|webmanifest|txt|wasm)$/;
/** Below this the header of a compressed file eats the gain. */
const minBytes = 512;
const brotli = promisify(brotliCompress);
const gz = promisify(gzip);

/** Writes a `.br` and a `.gz` beside every text file of the build, for a server that only picks one. */
export function precompress(): Plugin {
	let outDir = 'dist';
	return {
		name: 'bedrud-precompress',
		apply: 'build',
		configResolved(config) {
			outDir = config.build.outDir;
		},
		async closeBundle() {
			const entries = await readdir(outDir, { recursive: true, withFileTypes: true });
			await Promise.all(
				entries
					.filter((entry) => entry.isFile() && compressible.test(entry.name))
					.map((entry) => compress(join(entry.parentPath, entry.name))),
			);
		},
	};
}

async function compress(file: string): Promise<void> {
	const data = await readFile(file);
	if (data.length < minBytes) return;
	const [br, zipped] = await Promise.all([
		brotli(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length } }),
		gz(data, { level: 9 }),
	]);
	await Promise.all([writeFile(`${file}.br`, br), writeFile(`${file}.gz`, zipped)]);
}
