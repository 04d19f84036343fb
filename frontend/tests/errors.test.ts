import { describe, expect, it } from 'vitest';
import { ApiError } from '../src/lib/api/client';
import { describeError, joinProblem } from '../src/lib/api/errors';

const refused = (status: number, text: string, retryAfter?: number) => new ApiError(status, text, {}, retryAfter);

describe('an error in plain words', () => {
	it('names the field or the rule that the server names', () => {
		expect(describeError(refused(401, 'Invalid credentials')).key).toBe('error.credentials');
		expect(describeError(refused(400, 'Password must be at least 12 characters')).key).toBe('error.passwordShort');
		expect(describeError(refused(400, 'Name must be between 2 and 50 characters')).key).toBe('error.nameShort');
		expect(describeError(refused(409, 'a room with this name already exists')).key).toBe('error.roomNameTaken');
		expect(describeError(refused(400, 'room name must be at most 63 characters')).key).toBe('error.roomNameLong');
		expect(describeError(refused(403, 'Invalid or expired invite token')).key).toBe('error.inviteBad');
		expect(describeError(refused(403, 'An invite token is required to register')).key).toBe('error.inviteNeeded');
	});

	it('falls back to the kind of status, never to a raw text', () => {
		expect(describeError(refused(0, 'network')).key).toBe('error.network');
		expect(describeError(refused(401, 'Invalid token')).key).toBe('error.signedOut');
		expect(describeError(refused(403, 'nope')).key).toBe('error.forbidden');
		expect(describeError(refused(503, 'database')).key).toBe('error.server');
		expect(describeError(refused(418, 'teapot')).key).toBe('error.unknown');
		expect(describeError(new TypeError('x')).key).toBe('error.unknown');
	});

	it('says how long to wait when the server says so', () => {
		expect(describeError(refused(429, 'too many requests', 42))).toEqual({
			key: 'error.waitSeconds',
			params: { count: 42 },
		});
		expect(describeError(refused(429, 'too many requests', 301))).toEqual({
			key: 'error.waitMinutes',
			params: { count: 6 },
		});
		expect(describeError(refused(429, 'too many requests')).key).toBe('error.wait');
	});
});

describe('why a room cannot be entered', () => {
	it.each([
		[404, 'Room not found', 'not-found'],
		[410, 'room is no longer active', 'inactive'],
		[403, 'This room is private', 'private'],
		[403, 'This room requires approval to join', 'approval'],
		[403, 'room is full', 'full'],
		[403, 'you are banned from this room', 'banned'],
		[403, 'Guest login is currently disabled', 'guests-closed'],
		[400, 'Guest name is required', 'bad-name'],
		[401, 'Invalid token', 'signed-out'],
		[429, 'too many guest join attempts', 'busy'],
		[0, 'network', 'network'],
		[500, 'An internal error occurred', 'server'],
	])('%i "%s" is %s', (status, text, problem) => {
		expect(joinProblem(refused(status, text))).toBe(problem);
	});

	it('a room that closed by itself is another case than one that was ended', () => {
		const closed = new ApiError(410, 'room is not open yet', { code: 'room_not_open' });
		const over = new ApiError(410, 'room is no longer active', { code: 'room_over' });
		expect(joinProblem(closed)).toBe('not-open');
		expect(joinProblem(over)).toBe('inactive');
	});
});
