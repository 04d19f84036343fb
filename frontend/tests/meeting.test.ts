import { describe, expect, it } from 'vitest';
import type { JoinResponse } from '../src/lib/api/types';
import { disconnectMeans } from '../src/lib/room/disconnect';
import { type Link, nextLink, retryDelay } from '../src/lib/room/link';
import { type MeetEvent, type MeetState, start, transition } from '../src/lib/room/machine';

const room: JoinResponse = { id: 'r', name: 'room', token: 't', livekitHost: '' };
const run = (events: MeetEvent[], from: MeetState = start) => events.reduce(transition, from);

describe("the meeting's page", () => {
	it('asks a stranger for a name and takes a signed-in person straight to the preview', () => {
		expect(run([{ type: 'session', signedIn: false }]).at).toBe('guest-name');
		expect(
			run([
				{ type: 'session', signedIn: true },
				{ type: 'joined', room },
			]),
		).toEqual({ at: 'prejoin', room });
	});

	it('goes from the preview into the call, and back to it when the connection fails', () => {
		const preview = run([
			{ type: 'session', signedIn: true },
			{ type: 'joined', room },
		]);
		expect(run([{ type: 'enter' }, { type: 'connected' }], preview)).toEqual({ at: 'in-call', room });
		expect(run([{ type: 'enter' }, { type: 'connect-failed' }], preview)).toEqual(preview);
	});

	it('lets a guest correct the name, but not a closed door', () => {
		const asked = run([{ type: 'session', signedIn: false }, { type: 'submit' }]);
		expect(transition(asked, { type: 'refused', problem: 'bad-name', guest: true }).at).toBe('guest-name');
		expect(transition(asked, { type: 'refused', problem: 'private', guest: true })).toEqual({
			at: 'refused',
			problem: 'private',
		});
	});

	it('offers the guest name when the session has run out', () => {
		const joining = run([{ type: 'session', signedIn: true }]);
		expect(transition(joining, { type: 'refused', problem: 'signed-out', guest: false }).at).toBe('guest-name');
	});

	it('offers the owner of an ended room to open it again', () => {
		const archived = {
			status: 'archived_owned' as const,
			id: 'r',
			name: 'room',
			mode: 'standard',
			settings: {} as never,
		};
		const state = run([
			{ type: 'session', signedIn: true },
			{ type: 'archived', archived },
		]);
		expect(state).toEqual({ at: 'archived', archived });
		expect(run([{ type: 'submit' }, { type: 'joined', room }], state).at).toBe('prejoin');
	});

	it('ends with its reason, once, and can begin again', () => {
		const call: MeetState = { at: 'in-call', room };
		const ended = transition(call, { type: 'ended', reason: 'kicked' });
		expect(ended).toEqual({ at: 'ended', reason: 'kicked' });
		expect(transition(ended, { type: 'ended', reason: 'left' })).toBe(ended);
		expect(transition(ended, { type: 'again' })).toEqual(start);
	});

	it('ignores events that come too late', () => {
		const call: MeetState = { at: 'in-call', room };
		for (const event of [
			{ type: 'joined', room },
			{ type: 'enter' },
			{ type: 'connected' },
			{ type: 'session', signedIn: true },
		] as MeetEvent[]) {
			expect(transition(call, event)).toBe(call);
		}
	});
});

describe('the connection of a call', () => {
	const linkAfter = (from: Link, ...events: Parameters<typeof nextLink>[1][]) => events.reduce(nextLink, from);

	it('says that it is back after a break, for a moment, but not on first entering', () => {
		expect(linkAfter('connecting', 'connected')).toBe('ok');
		expect(linkAfter('ok', 'signal-reconnecting')).toBe('signal');
		expect(linkAfter('ok', 'signal-reconnecting', 'reconnecting')).toBe('media');
		expect(linkAfter('ok', 'signal-reconnecting', 'reconnected')).toBe('back');
		expect(linkAfter('ok', 'reconnecting', 'reconnected', 'settled')).toBe('ok');
		expect(linkAfter('ok', 'reconnected')).toBe('ok');
	});

	it('enters anew after a cut, says so when it lasts, and comes back from everywhere', () => {
		expect(linkAfter('media', 'cut')).toBe('rejoin');
		expect(linkAfter('media', 'cut', 'gave-up')).toBe('lost');
		expect(linkAfter('signal', 'gave-up')).toBe('lost');
		expect(linkAfter('lost', 'retry')).toBe('rejoin');
		expect(linkAfter('lost', 'cut')).toBe('lost');
		expect(linkAfter('lost', 'connected')).toBe('back');
		expect(linkAfter('lost', 'reconnected')).toBe('back');
		expect(linkAfter('ok', 'gave-up')).toBe('ok');
	});

	it('waits little at first and never long', () => {
		const waits = Array.from({ length: 12 }, (_, i) => retryDelay(i));
		expect(waits[0]).toBe(0);
		expect(Math.max(...waits)).toBe(5000);
		expect([...waits].sort((a, b) => a - b)).toEqual(waits);
	});
});

describe('a disconnect', () => {
	it('ends the meeting only for reasons that mean it', () => {
		expect([1, 2, 4, 5, 10].map(disconnectMeans)).toEqual(['left', 'duplicate', 'kicked', 'room-ended', 'room-ended']);
	});

	it('is a break to recover from in every other case', () => {
		for (const reason of [undefined, 0, 3, 6, 7, 8, 9, 14, 15, 99]) expect(disconnectMeans(reason)).toBe('rejoin');
	});
});
