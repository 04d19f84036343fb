import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Plugin } from 'vite';

/**
 * Puts the theme script in front of the first paint as a hashed file of its own. It must block and must not be
 * inline, so that the content security policy needs neither `unsafe-inline` nor a hash.
 */
export function prepaint(source: string): Plugin {
	let fileName = '';
	let dev = false;
	return {
		name: 'bedrud-prepaint',
		configResolved(config) {
			dev = config.command === 'serve';
		},
		async buildStart() {
			if (dev) return;
			const code = (await readFile(source, 'utf8')).replace(/^\s*\/\/.*\n/gm, '').replace(/\n\s*/g, '');
			const hash = createHash('sha256').update(code).digest('base64url').slice(0, 8);
			fileName = `assets/prepaint-${hash}.js`;
			this.emitFile({ type: 'asset', fileName, source: code });
		},
		transformIndexHtml: {
			order: 'post',
			handler: () => [{ tag: 'script', attrs: { src: dev ? `/${source}` : `/${fileName}` }, injectTo: 'head' }],
		},
	};
}
