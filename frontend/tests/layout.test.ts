import { describe, expect, it } from 'vitest';
import { place, type Rect } from '../src/lib/room/grid';
import { type Sortable, stableOrder } from '../src/lib/room/order';

const overlap = (a: Rect, b: Rect) =>
	a.x < b.x + b.width - 0.01 &&
	b.x < a.x + a.width - 0.01 &&
	a.y < b.y + b.height - 0.01 &&
	b.y < a.y + a.height - 0.01;

describe('the places of tiles', () => {
	it('lie inside the space and never over each other, whatever the numbers', () => {
		for (const [width, height] of [
			[1260, 680],
			[374, 720],
			[320, 480],
			[700, 200],
			[2400, 1300],
		] as const) {
			for (const stage of [0, 1, 2, 4]) {
				for (const rest of [0, 1, 2, 3, 5, 9, 26, 80]) {
					const { stage: large, rest: small } = place(stage, rest, width, height, 0);
					const all = [...large, ...small];
					expect(large).toHaveLength(stage);
					for (const [i, r] of all.entries()) {
						expect(Math.min(r.x, r.y)).toBeGreaterThanOrEqual(-0.01);
						expect(r.x + r.width).toBeLessThanOrEqual(width + 0.01);
						expect(r.y + r.height).toBeLessThanOrEqual(height + 0.01);
						expect(all.slice(i + 1).some((other) => overlap(r, other))).toBe(false);
					}
				}
			}
		}
	});

	it('show everybody, spread over the pages', () => {
		for (const count of [1, 7, 25, 26, 60]) {
			const { perPage, pages } = place(0, count, 1260, 680, 0);
			const shown = Array.from({ length: pages }, (_, page) => place(0, count, 1260, 680, page).rest.length);
			expect(shown.reduce((a, b) => a + b, 0)).toBe(count);
			expect(Math.max(...shown)).toBeLessThanOrEqual(perPage);
		}
	});

	it('put two people side by side on a desktop and one above the other on a phone', () => {
		const [a, b] = place(0, 2, 1260, 680, 0).rest as [Rect, Rect];
		expect(a.y).toBe(b.y);
		const [c, d] = place(0, 2, 374, 720, 0).rest as [Rect, Rect];
		expect(c.x).toBe(d.x);
	});

	it('give a shared screen most of the space', () => {
		for (const [width, height] of [
			[1260, 680],
			[374, 720],
		] as const) {
			const [screen] = place(1, 5, width, height, 0).stage as [Rect];
			expect((screen.width * screen.height) / (width * height)).toBeGreaterThan(0.7);
		}
	});

	it('are none before the space is known', () => {
		expect(place(1, 3, 0, 0, 0)).toMatchObject({ stage: [], rest: [] });
	});
});

describe('the order of tiles', () => {
	const tile = (key: string, more: Partial<Sortable> = {}): Sortable => ({
		key,
		local: false,
		speaking: false,
		lastSpoke: 0,
		hasVideo: true,
		joinedAt: Number(key.slice(1)) || 0,
		...more,
	});

	it('starts with oneself and then those who speak or have video', () => {
		const tiles = [
			tile('p1', { hasVideo: false }),
			tile('p2'),
			tile('p3', { speaking: true }),
			tile('me', { local: true }),
		];
		expect(stableOrder([], tiles, 9)).toEqual(['me', 'p3', 'p2', 'p1']);
	});

	it('stays as it is when somebody on the page speaks, and when people come and go', () => {
		const tiles = [tile('p1'), tile('p2', { speaking: true }), tile('p4')];
		expect(stableOrder(['p1', 'p3', 'p2'], tiles, 9)).toEqual(['p1', 'p2', 'p4']);
	});

	it('swaps a speaker of a later page with the one who has been silent longest, never with oneself', () => {
		const tiles = [
			tile('me', { local: true }),
			tile('p1', { lastSpoke: 50 }),
			tile('p2', { lastSpoke: 10 }),
			tile('p3', { speaking: true, lastSpoke: 99 }),
		];
		expect(stableOrder(['me', 'p1', 'p2', 'p3'], tiles, 3)).toEqual(['me', 'p1', 'p3', 'p2']);
	});
});
