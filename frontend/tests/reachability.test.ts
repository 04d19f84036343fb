import { beforeEach, describe, expect, it, vi } from 'vitest';
import { carriesMedia, isBroken, type Link, nextLink } from '../src/lib/room/link';
import { Reachability } from '../src/lib/state/reachability';

/** A page whose network can be cut, on fake timers. */
function world() {
	const state = { quiet: Number.POSITIVE_INFINITY, cut: false, visible: true, asked: 0, said: [] as boolean[] };
	const ask = (signal: AbortSignal) => {
		state.asked++;
		return new Promise((resolve, reject) => {
			if (!state.cut) setTimeout(resolve, 30);
			signal.addEventListener('abort', () => reject(new Error('aborted')));
		});
	};
	const watch = new Reachability(
		{
			quietFor: () => state.quiet,
			ask,
			changed: (reachable) => state.said.push(reachable),
			visible: () => state.visible,
		},
		() => Date.now(),
	);
	watch.start();
	return { state, watch };
}

describe('reachability', () => {
	const events = new EventTarget();
	beforeEach(() => {
		vi.useFakeTimers();
		vi.stubGlobal('window', events);
		return () => {
			vi.useRealTimers();
			vi.unstubAllGlobals();
		};
	});

	it('notices within three seconds that packets vanish, whenever they begin to, and that they come back', async () => {
		for (let offset = 0; offset < 1500; offset += 70) {
			const { state, watch } = world();
			await vi.advanceTimersByTimeAsync(5000 + offset);
			expect(state.said).toEqual([]);
			state.cut = true;
			await vi.advanceTimersByTimeAsync(3000);
			expect(state.said, `cut ${offset} ms later`).toEqual([false]);
			state.cut = false;
			await vi.advanceTimersByTimeAsync(3000);
			expect(state.said).toEqual([false, true]);
			watch.stop();
		}
	});

	it('asks nobody while media arrives, and little while a meeting is silent', async () => {
		const { state, watch } = world();
		state.quiet = 20;
		await vi.advanceTimersByTimeAsync(60_000);
		expect(state.asked).toBe(0);
		state.quiet = Number.POSITIVE_INFINITY;
		await vi.advanceTimersByTimeAsync(60_000);
		expect(state.asked).toBeGreaterThan(20);
		expect(state.asked).toBeLessThan(45);
		state.visible = false;
		const before = state.asked;
		await vi.advanceTimersByTimeAsync(60_000);
		expect(state.asked).toBe(before);
		watch.stop();
	});

	it('believes media more than an unanswered question', async () => {
		const { state, watch } = world();
		state.cut = true;
		await vi.advanceTimersByTimeAsync(800);
		state.quiet = 20;
		await vi.advanceTimersByTimeAsync(10_000);
		expect(state.said).toEqual([]);
		watch.stop();
	});

	it('takes the word of the browser at once', async () => {
		const { state, watch } = world();
		events.dispatchEvent(new Event('offline'));
		expect(state.said).toEqual([false]);
		events.dispatchEvent(new Event('online'));
		await vi.advanceTimersByTimeAsync(100);
		expect(state.said).toEqual([false, true]);
		watch.stop();
		events.dispatchEvent(new Event('offline'));
		expect(state.said).toEqual([false, true]);
	});
});

describe('the link', () => {
	const all: Link[] = ['connecting', 'ok', 'signal', 'offline', 'media', 'rejoin', 'back', 'lost'];

	it('says that others hear nothing exactly when it carries no media', () => {
		expect(all.filter((link) => !carriesMedia(link))).toEqual(['offline', 'media', 'rejoin', 'lost']);
		expect(all.filter(isBroken)).toEqual(['signal', 'offline', 'media', 'rejoin']);
	});

	it('goes offline and comes back, or on to a new connection', () => {
		expect(nextLink('ok', 'unreachable')).toBe('offline');
		expect(nextLink('signal', 'unreachable')).toBe('offline');
		expect(nextLink(nextLink('offline', 'reachable'), 'reconnected')).toBe('back');
		expect(nextLink('offline', 'signal-reconnecting')).toBe('offline');
		expect(nextLink('offline', 'reconnecting')).toBe('media');
		expect(nextLink('offline', 'cut')).toBe('rejoin');
		expect(nextLink('offline', 'gave-up')).toBe('lost');
		expect(nextLink('rejoin', 'unreachable')).toBe('rejoin');
		expect(nextLink('ok', 'reachable')).toBe('ok');
	});
});
