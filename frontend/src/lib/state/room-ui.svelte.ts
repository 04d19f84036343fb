import { t } from '../i18n/index.svelte';
import { announcer } from './announcer.svelte';
import type { CallState } from './call.svelte';

export type Panel = 'chat' | 'people';
export type RoomDialog = 'leave' | 'shortcuts' | 'devices';

/** What is open around the tiles: panel, dialog, full screen. */
export class RoomUi {
	panel = $state<Panel | null>(null);
	dialog = $state<RoomDialog | null>(null);
	fullscreen = $state(false);
	#opener: HTMLElement | null = null;
	#lock: { release(): Promise<void> } | null = null;
	#onfullscreen = () => {
		this.fullscreen = document.fullscreenElement !== null;
	};
	#onvisible = () => {
		if (document.visibilityState === 'visible') void this.#acquire();
	};

	constructor(private readonly call: CallState) {
		document.addEventListener('fullscreenchange', this.#onfullscreen);
	}

	toggle(panel: Panel): void {
		if (this.panel === panel) {
			this.closePanel();
			return;
		}
		this.#opener = document.activeElement as HTMLElement | null;
		this.panel = panel;
		this.call.chat.setOpen(panel === 'chat');
	}

	closePanel(): void {
		this.panel = null;
		this.call.chat.setOpen(false);
		this.#opener?.focus();
	}

	/** Closes what lies on top; native dialogs close themselves. */
	closeTop(): void {
		if (this.dialog) this.dialog = null;
		else if (this.panel) this.closePanel();
	}

	/** Those who opened the room are asked whether to end it for all; everybody else just leaves. */
	askLeave(): void {
		if (this.call.amHost) this.dialog = 'leave';
		else void this.call.leave();
	}

	toggleFullscreen(): void {
		if (document.fullscreenElement) void document.exitFullscreen();
		else void document.documentElement.requestFullscreen?.().catch(() => {});
	}

	pin(identity: string): void {
		const name = this.call.people.get(identity)?.name ?? '';
		const pinned = this.call.layout.togglePin(identity);
		announcer.polite(t(pinned ? 'tile.pinned' : 'tile.unpinned', { name }));
	}

	/** Keys 1 to 9 pin the n-th of the others, 0 oneself. */
	pinNumber(number: number): void {
		const others = this.call.list.filter((person) => !person.local);
		const person = number === 0 ? this.call.me : others[number - 1];
		if (person) this.pin(person.identity);
	}

	/** Moves focus on: tiles, panel, controls. */
	nextRegion(root: HTMLElement): void {
		const regions = [...root.querySelectorAll<HTMLElement>('[data-region]')];
		const at = regions.findIndex((region) => region.contains(document.activeElement));
		const next = regions[(at + 1) % regions.length];
		(next?.querySelector<HTMLElement>('button, a, input, textarea') ?? next)?.focus();
	}

	/** Keeps the screen of a phone from going dark in a meeting; returns how to stop. */
	keepAwake(): () => void {
		void this.#acquire();
		document.addEventListener('visibilitychange', this.#onvisible);
		return () => {
			document.removeEventListener('visibilitychange', this.#onvisible);
			void this.#lock?.release().catch(() => {});
		};
	}

	dispose(): void {
		document.removeEventListener('fullscreenchange', this.#onfullscreen);
		if (document.fullscreenElement) void document.exitFullscreen().catch(() => {});
	}

	async #acquire(): Promise<void> {
		this.#lock = (await navigator.wakeLock?.request('screen').catch(() => null)) ?? null;
	}
}
