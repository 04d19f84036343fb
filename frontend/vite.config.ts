/// <reference types="vitest/config" />
import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { precompress } from './build/precompress.ts';
import { prepaint } from './build/prepaint.ts';

const server = process.env.BEDRUD_URL ?? 'http://localhost:8090';
const proxy = {
	'/api': server,
	'/uploads': server,
	'/livekit': { target: server, ws: true },
	'/rtc': { target: server, ws: true },
};
const policy = [
	"default-src 'none'",
	"script-src 'self' 'wasm-unsafe-eval'",
	"style-src 'self'",
	"img-src 'self' data: blob:",
	"media-src 'self' blob:",
	`connect-src 'self' ${server} ${server.replace(/^http/, 'ws')}`,
	"manifest-src 'self'",
	"worker-src 'self' blob:",
	"base-uri 'none'",
	"form-action 'self'",
].join('; ');
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig(async ({ mode }) => ({
	plugins: [
		svelte(),
		prepaint('build/prepaint.js'),
		precompress(),
		...(mode === 'mock' ? [(await import('./dev/mock-api.ts')).mockApi()] : []),
	],
	resolve: {
		alias: [
			{ find: '$lib', replacement: at('./src/lib') },
			...(mode === 'mock'
				? [
						{ find: /^livekit-client$/, replacement: at('./dev/mock-livekit.ts') },
						{ find: /^livekit-client-real$/, replacement: at('./node_modules/livekit-client') },
					]
				: []),
		],
	},
	build: {
		target: 'es2022',
		// Nothing inline: every byte comes from a file the content security policy can name.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		reportCompressedSize: false,
		chunkSizeWarningLimit: 600,
		rolldownOptions: {
			output: {
				// Few files for the first visit: what every page needs is one, the pages before a meeting another.
				codeSplitting: {
					groups: [
						{
							name: 'core',
							test: /node_modules\/(svelte|esm-env|clsx)\/|src\/app\/|src\/lib\/(api|i18n|storage|ui)\/|src\/lib\/room\/name|src\/lib\/state\/(announcer|session|settings|theme|toasts)|src\/app\.css|src\/theme\.css|src\/App\.svelte|src\/routes\/(\w+\.svelte|home\/|auth\/)/,
							priority: 3,
						},
						{ name: 'livekit', test: /node_modules/, priority: 2 },
					],
				},
			},
		},
	},
	server: { port: 5173, proxy: mode === 'mock' ? {} : proxy },
	// A finished build with the server's own policy: what that refuses must be seen before it is embedded.
	preview: { port: 4173, proxy, headers: { 'Content-Security-Policy': policy } },
	test: { include: ['tests/**/*.test.ts'], environment: 'node' },
}));
