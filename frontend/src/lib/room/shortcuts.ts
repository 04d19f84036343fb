import type { MessageKey } from '../i18n/index.svelte';
import { readText, writeText } from '../storage/safe';

export type Action =
	| 'mic'
	| 'camera'
	| 'screen'
	| 'chat'
	| 'people'
	| 'fullscreen'
	| 'help'
	| 'leave'
	| 'close'
	| 'regions';

export type Found = { kind: 'action'; action: Action } | { kind: 'pin'; number: number } | { kind: 'talk' };

export interface Shortcut {
	keys: string[];
	label: MessageKey;
}

/** The list that is shown to people. */
export const shortcutList: Shortcut[] = [
	{ keys: ['M', 'Ctrl D'], label: 'shortcut.mic' },
	{ keys: ['V', 'Ctrl E'], label: 'shortcut.camera' },
	{ keys: ['Space'], label: 'shortcut.talk' },
	{ keys: ['D'], label: 'shortcut.screen' },
	{ keys: ['C'], label: 'shortcut.chat' },
	{ keys: ['P'], label: 'shortcut.people' },
	{ keys: ['S'], label: 'shortcut.fullscreen' },
	{ keys: ['1 – 9'], label: 'shortcut.pin' },
	{ keys: ['0'], label: 'shortcut.pinSelf' },
	{ keys: ['F2', 'F6'], label: 'shortcut.regions' },
	{ keys: ['Ctrl Shift L'], label: 'shortcut.leave' },
	{ keys: ['?', 'Ctrl /'], label: 'shortcut.help' },
	{ keys: ['Esc'], label: 'shortcut.close' },
];

const letters: Record<string, Action> = {
	m: 'mic',
	v: 'camera',
	d: 'screen',
	c: 'chat',
	p: 'people',
	s: 'fullscreen',
	'?': 'help',
};

const withCtrl: Record<string, Action> = { d: 'mic', e: 'camera', '/': 'help' };

const storageKey = 'bedrud-shortcuts';

/** The master switch for the keys that are plain characters. */
export const shortcutsOn = {
	get value(): boolean {
		return readText('local', storageKey) !== 'off';
	},
	set(on: boolean): void {
		writeText('local', storageKey, on ? null : 'off');
	},
};

export interface KeyPress {
	key: string;
	code: string;
	ctrlKey: boolean;
	metaKey: boolean;
	altKey: boolean;
	shiftKey: boolean;
	target: unknown;
}

/** What a key press means; `characters` says whether single characters count. */
export function shortcutFor(event: KeyPress, characters: boolean): Found | null {
	const command = event.ctrlKey || event.metaKey;
	const key = event.key.toLowerCase();
	const action = (name: Action): Found => ({ kind: 'action', action: name });
	if (event.altKey) return null;
	if (key === 'escape' && !command) return action('close');
	if ((key === 'f2' || key === 'f6') && !command) return action('regions');
	if (command) {
		if (event.shiftKey) return key === 'l' ? action('leave') : null;
		const found = withCtrl[key];
		return found ? action(found) : null;
	}
	if (!characters || isEditable(event.target)) return null;
	if (event.code === 'Space') return usesSpace(event.target) ? null : { kind: 'talk' };
	if (/^[0-9]$/.test(key) && !event.shiftKey) return { kind: 'pin', number: Number(key) };
	if (event.shiftKey && key !== '?') return null;
	const found = letters[key];
	return found ? action(found) : null;
}

function isEditable(target: unknown): boolean {
	return matches(target, 'input, textarea, select, [contenteditable]');
}

/** Space presses buttons and opens links and menus; it must keep doing so. */
function usesSpace(target: unknown): boolean {
	return matches(target, 'button, a, summary, [role="button"], [role^="menu"], [role="tab"], [role="switch"]');
}

function matches(target: unknown, selector: string): boolean {
	const element = target as { closest?: (s: string) => unknown } | null;
	return typeof element?.closest === 'function' && element.closest(selector) !== null;
}
