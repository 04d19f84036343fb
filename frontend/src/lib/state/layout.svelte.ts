import { type Placement, place, type Rect } from '../room/grid';
import { stableOrder } from '../room/order';
import type { ParticipantState } from './participant.svelte';

export type Source = 'camera' | 'screen_share';

export interface TileRef {
	key: string;
	source: Source;
	participant: ParticipantState;
}

export interface PlacedTile extends TileRef {
	rect: Rect;
	large: boolean;
}

const mostPins = 4;

/** Which tiles are large, which are in the grid, in what order and on what page. */
export class LayoutState {
	/** Pinned people, by identity; local to this browser and kept across reconnects. */
	pins = $state.raw<string[]>([]);
	page = $state(0);
	width = $state(0);
	height = $state(0);
	#order = $state.raw<string[]>([]);

	constructor(private readonly people: () => ParticipantState[]) {}

	/** Shared screens and pinned people, shown large; empty means a plain grid. */
	readonly stage: TileRef[] = $derived.by(() => {
		const people = this.people();
		const screens = people.filter((p) => p.screen).map((p) => tile(p, 'screen_share'));
		const pinned = this.pins.flatMap((id) => people.filter((p) => p.identity === id).map((p) => tile(p, 'camera')));
		return [...screens, ...pinned];
	});

	/** Everybody else, in a stable order. */
	readonly rest: TileRef[] = $derived.by(() => {
		const place = new Map(this.#order.map((key, index) => [key, index]));
		const at = (p: ParticipantState) => place.get(p.identity) ?? Number.MAX_SAFE_INTEGER;
		return this.people()
			.filter((p) => !this.pins.includes(p.identity))
			.sort((a, b) => at(a) - at(b))
			.map((p) => tile(p, 'camera'));
	});

	readonly placement: Placement = $derived.by(() => {
		const wanted = place(this.stage.length, this.rest.length, this.width, this.height, this.page);
		if (this.page < wanted.pages) return wanted;
		return place(this.stage.length, this.rest.length, this.width, this.height, wanted.pages - 1);
	});

	readonly shownPage = $derived(Math.min(this.page, this.placement.pages - 1));

	/** The tiles to draw, with their places. */
	readonly tiles: PlacedTile[] = $derived.by(() => {
		const { stage, rest, perPage } = this.placement;
		const from = this.shownPage * perPage;
		return [
			...this.stage.flatMap((ref, i) => (stage[i] ? [{ ...ref, rect: stage[i], large: true }] : [])),
			...this.rest
				.slice(from, from + perPage)
				.flatMap((ref, i) => (rest[i] ? [{ ...ref, rect: rest[i], large: false }] : [])),
		];
	});

	/** Puts newcomers and speakers in their places; called from an effect whenever those change. */
	arrange(): void {
		const tiles = this.people().map((p) => ({
			key: p.identity,
			local: p.local,
			speaking: p.speaking,
			lastSpoke: p.lastSpoke,
			hasVideo: p.hasCamera,
			joinedAt: p.joinedAt,
		}));
		const next = stableOrder(this.#order, tiles, this.placement.perPage);
		if (next.join('\n') !== this.#order.join('\n')) this.#order = next;
	}

	/** True when the person is pinned afterwards. */
	togglePin(identity: string): boolean {
		const pinned = this.pins.includes(identity);
		this.pins = pinned ? this.pins.filter((id) => id !== identity) : [...this.pins, identity].slice(-mostPins);
		return !pinned;
	}

	turn(step: 1 | -1): void {
		this.page = Math.max(0, Math.min(this.placement.pages - 1, this.shownPage + step));
	}
}

function tile(participant: ParticipantState, source: Source): TileRef {
	return { key: `${participant.identity}:${source}`, source, participant };
}
