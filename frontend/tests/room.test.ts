import { describe, expect, it } from 'vitest';
import { formatMessage } from '../src/lib/i18n/format';
import { safeRedirect } from '../src/lib/redirect';
import { deviceProblem } from '../src/lib/room/device-errors';
import { loudness } from '../src/lib/room/level';
import { mergeMetadata, readMetadata } from '../src/lib/room/metadata';
import { checkRoomName, randomRoomName, roomNameFrom } from '../src/lib/room/name';
import { type KeyPress, shortcutFor } from '../src/lib/room/shortcuts';
import { isBigEmoji, richText } from '../src/lib/wire/rich';
import { decodeSystem } from '../src/lib/wire/system';

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describe('a room name', () => {
	it('is found in words, names and whole links', () => {
		expect(roomNameFrom('  Product Sync ')).toBe('product-sync');
		expect(roomNameFrom('https://meet.example.org/m/coffee?x=1#k')).toBe('coffee');
		expect(roomNameFrom('meet.example.org/c/Coffee-2')).toBe('coffee-2');
	});

	it('is checked by the rule of the server', () => {
		expect(['abc', 'a-b-c', '0'.repeat(63)].map(checkRoomName)).toEqual([null, null, null]);
		expect(['ab', 'a'.repeat(64), 'a--b', '-ab', 'käse', ''].map(checkRoomName)).toEqual([
			'short',
			'long',
			'chars',
			'chars',
			'chars',
			'chars',
		]);
	});

	it('made at random has the shape 3-4-3 and passes the rule', () => {
		const name = randomRoomName();
		expect(name).toMatch(/^[a-z]{3}-[a-z]{4}-[a-z]{3}$/);
		expect(checkRoomName(name)).toBeNull();
	});
});

describe('a packet on topic system', () => {
	const ended = bytes({ type: 'system', event: 'room_ended', message: 'over' });

	it('counts when the server sent it, and is worth nothing from a participant', () => {
		expect(decodeSystem(ended, false)).toEqual({ kind: 'room-end', message: 'over' });
		expect(decodeSystem(ended, true)).toBeNull();
		const ban = bytes({ type: 'system', event: 'ban', actor: 'a', target: 'b' });
		expect(decodeSystem(ban, false)).toEqual({ kind: 'moderation', event: 'ban', actor: 'a', target: 'b' });
		expect(decodeSystem(ban, true)).toBeNull();
	});

	it('is ignored when it is unknown or broken', () => {
		expect(decodeSystem(bytes({ type: 'system', event: 'party' }), false)).toBeNull();
		expect(decodeSystem(bytes(null), false)).toBeNull();
		expect(decodeSystem(new Uint8Array([1, 2]), false)).toBeNull();
	});

	it('tells what the room lets people do, from the server alone', () => {
		const packet = new TextEncoder().encode(
			JSON.stringify({ type: 'system', event: 'room_settings', settings: { allowChat: false, allowVideo: true } }),
		);
		expect(decodeSystem(packet, false)).toEqual({
			kind: 'settings',
			allowChat: false,
			allowVideo: true,
			allowAudio: true,
		});
		expect(decodeSystem(packet, true)).toBeNull();
	});
});

describe('participant metadata', () => {
	it('is read with care and merged without losing the keys of others', () => {
		const meta = readMetadata('{"displayName":"Ana","deafened":"yes","accesses":["superadmin"]}');
		expect(meta).toMatchObject({ displayName: 'Ana', deafened: undefined });
		expect(meta).not.toHaveProperty('accesses');
		expect(readMetadata('[1]').displayName).toBeUndefined();
		expect(readMetadata('{').displayName).toBeUndefined();
		expect(JSON.parse(mergeMetadata('{"accesses":["user"],"x":1}', { displayName: 'B' }))).toEqual({
			accesses: ['user'],
			x: 1,
			displayName: 'B',
		});
	});
});

describe('chat text', () => {
	it('becomes parts, links without the full stop, and never markup', () => {
		expect(richText('see https://a.example/x. **now** `<b>` *it*')).toEqual([
			{ kind: 'text', text: 'see ' },
			{ kind: 'link', text: 'https://a.example/x', href: 'https://a.example/x' },
			{ kind: 'text', text: '. ' },
			{ kind: 'strong', text: 'now' },
			{ kind: 'text', text: ' ' },
			{ kind: 'code', text: '<b>' },
			{ kind: 'text', text: ' ' },
			{ kind: 'em', text: 'it' },
		]);
	});

	it('keeps every character and makes no link of other schemes', () => {
		for (const text of ['javascript:alert(1)', 'a ** b * c', '(https://x.example/a)', 'http://', '`']) {
			const spans = richText(text);
			expect(spans.map((span) => span.text).join('')).toBe(text);
			for (const span of spans) if (span.kind === 'link') expect(span.href).toMatch(/^https?:\/\//);
		}
	});

	it('of emoji alone is shown large', () => {
		expect(['🎉', '👍🏽', '👩‍💻 ❤️', '🎉🎉🎉'].map(isBigEmoji)).toEqual([true, true, true, true]);
		expect(['', 'hi 🎉', '🎉🎉🎉🎉', '12'].map(isBigEmoji)).toEqual([false, false, false, false]);
	});
});

describe('keys', () => {
	const inside = (selector: string) => ({
		closest: (wanted: string) => (wanted.split(', ').includes(selector) ? {} : null),
	});
	const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
		key,
		code: key === ' ' ? 'Space' : '',
		ctrlKey: false,
		metaKey: false,
		altKey: false,
		shiftKey: false,
		target: inside('none'),
		...more,
	});

	it('do what the list says', () => {
		expect(shortcutFor(press('m'), true)).toEqual({ kind: 'action', action: 'mic' });
		expect(shortcutFor(press('e', { ctrlKey: true }), true)).toEqual({ kind: 'action', action: 'camera' });
		expect(shortcutFor(press('L', { ctrlKey: true, shiftKey: true }), true)).toEqual({
			kind: 'action',
			action: 'leave',
		});
		expect(shortcutFor(press('?', { shiftKey: true }), true)).toEqual({ kind: 'action', action: 'help' });
		expect(shortcutFor(press('3'), true)).toEqual({ kind: 'pin', number: 3 });
		expect(shortcutFor(press(' '), true)).toEqual({ kind: 'talk' });
	});

	it('leave typing alone, and Space to buttons and links', () => {
		expect(shortcutFor(press('m', { target: inside('textarea') }), true)).toBeNull();
		expect(shortcutFor(press(' ', { target: inside('button') }), true)).toBeNull();
		expect(shortcutFor(press(' ', { target: inside('a') }), true)).toBeNull();
	});

	it('do nothing with other modifiers, or as single keys when those are off', () => {
		expect(shortcutFor(press('m', { ctrlKey: true }), true)).toBeNull();
		expect(shortcutFor(press('m', { altKey: true }), true)).toBeNull();
		expect(shortcutFor(press('M', { shiftKey: true }), true)).toBeNull();
		expect(shortcutFor(press('m'), false)).toBeNull();
		expect(shortcutFor(press('d', { ctrlKey: true }), false)).toEqual({ kind: 'action', action: 'mic' });
		expect(shortcutFor(press('Escape'), false)).toEqual({ kind: 'action', action: 'close' });
	});
});

describe('small things', () => {
	it('a redirect leads only to this site', () => {
		expect(safeRedirect('/m/x?y=1', '/d')).toBe('/m/x?y=1');
		for (const bad of [null, '', 'https://evil.example', '//evil.example', '/\\evil.example', 'javascript:x']) {
			expect(safeRedirect(bad, '/d')).toBe('/d');
		}
	});

	it('a message is filled in and takes the right form of number', () => {
		expect(formatMessage('Hello {name}', 'en', { name: '{x} & <y>' })).toBe('Hello {x} & <y>');
		expect(formatMessage('{count|# person is|# people are} here', 'en', { count: 1 })).toBe('1 person is here');
		expect(formatMessage('{count|# person is|# people are} here', 'en', { count: 1200 })).toBe('1,200 people are here');
	});

	it('device errors have words of their own, and a closed screen picker none', () => {
		expect(deviceProblem({ name: 'NotAllowedError' }, 'audio')).toBe('device.micDenied');
		expect(deviceProblem({ name: 'NotReadableError' }, 'video')).toBe('device.camBusy');
		expect(deviceProblem(null, 'video')).toBe('device.camFailed');
		expect(deviceProblem({ name: 'NotAllowedError' }, 'screen')).toBeNull();
		expect(deviceProblem({ name: 'NotReadableError' }, 'screen')).toBe('device.screenFailed');
	});

	it('loudness is 0 for silence, grows, and never passes 1', () => {
		expect(loudness(new Float32Array(64))).toBe(0);
		expect(loudness(new Float32Array(64).fill(0.1))).toBeCloseTo(0.25);
		expect(loudness(new Float32Array(64).fill(-1))).toBe(1);
	});
});
