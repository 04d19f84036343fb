import { en } from './en';
import { formatMessage, type MessageParams } from './format';

export type { MessageParams };

/** Keys are the English catalogue's, so a missing or misspelt key is a compile error. */
export type MessageKey = keyof typeof en;
export type Catalogue = Record<MessageKey, string>;

const loaders: Record<string, () => Promise<Catalogue>> = {
	en: async () => en,
};

let catalogue = $state.raw<Catalogue>(en);
let locale = $state('en');

/** The message of `key`; `{name}` is filled from `params`, `{count|one form|other form}` picks by plural rule. */
export function t(key: MessageKey, params?: MessageParams): string {
	return formatMessage(catalogue[key], locale, params);
}

export function currentLocale(): string {
	return locale;
}

/** Picks the first wanted language that has a catalogue and loads it; English stays when there is none. */
export async function loadLocale(wanted: readonly string[]): Promise<void> {
	const found = wanted.map((tag) => tag.toLowerCase().split('-')[0] ?? '').find((tag) => tag in loaders);
	if (!found) return;
	const loaded = await loaders[found]?.();
	if (!loaded) return;
	catalogue = loaded;
	locale = found;
	document.documentElement.lang = found;
	document.documentElement.dir = ['ar', 'fa', 'he', 'ur'].includes(found) ? 'rtl' : 'ltr';
}
