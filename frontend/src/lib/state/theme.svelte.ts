import { readJson, writeJson } from '../storage/safe';

export type ThemeMode = 'system' | 'light' | 'dark';

const key = 'theme';

function stored(): ThemeMode {
	const mode = readJson<{ state?: { theme?: string } }>('local', key, {}).state?.theme;
	return mode === 'light' || mode === 'dark' ? mode : 'system';
}

/** Light or dark, from the person's choice or the system; follows other tabs and the system while the page is open. */
class Theme {
	mode = $state<ThemeMode>(stored());
	#systemDark = $state(false);
	readonly dark = $derived(this.mode === 'dark' || (this.mode === 'system' && this.#systemDark));

	constructor() {
		const query = matchMedia('(prefers-color-scheme: dark)');
		this.#systemDark = query.matches;
		query.addEventListener('change', (event) => {
			this.#systemDark = event.matches;
			this.#apply();
		});
		window.addEventListener('storage', (event) => {
			if (event.key !== key) return;
			this.mode = stored();
			this.#apply();
		});
		this.#apply();
	}

	set(mode: ThemeMode): void {
		this.mode = mode;
		writeJson('local', key, { state: { theme: mode } });
		this.#apply();
	}

	#apply(): void {
		const root = document.documentElement;
		root.dataset.theme = this.dark ? 'dark' : 'light';
		const colour = getComputedStyle(root).getPropertyValue('--bg').trim();
		document.querySelector('meta[name="theme-color"]')?.setAttribute('content', colour);
	}
}

export const theme = new Theme();
