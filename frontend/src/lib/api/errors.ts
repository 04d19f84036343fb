import type { MessageKey, MessageParams } from '../i18n/index.svelte';
import { ApiError } from './client';

export interface PlainError {
	key: MessageKey;
	params?: MessageParams;
}

/** Server texts of single fields and rules, with the words we show instead. */
const known: [RegExp, MessageKey][] = [
	[/room name must be at least/i, 'error.roomNameShort'],
	[/room name must be at most/i, 'error.roomNameLong'],
	[/room name must contain/i, 'error.roomNameChars'],
	[/room with this name already exists/i, 'error.roomNameTaken'],
	[/room limit reached/i, 'error.roomLimit'],
	[/maxParticipants/i, 'error.roomSize'],
	[/invalid credentials/i, 'error.credentials'],
	[/verify your email/i, 'error.verifyEmail'],
	[/invalid email/i, 'error.email'],
	[/name must be (at least|between)/i, 'error.nameShort'],
	[/(guest )?name (too long|must be at most)/i, 'error.nameLong'],
	[/guest name is required|name is required/i, 'error.nameShort'],
	[/password must be at least/i, 'error.passwordShort'],
	[/password must be at most/i, 'error.passwordLong'],
	[/too easy to guess/i, 'error.passwordCommon'],
	[/unable to register/i, 'error.registerTaken'],
	[/registration is currently disabled/i, 'error.registrationClosed'],
	[/guest login is currently disabled/i, 'error.guestsClosed'],
	[/invite token is required/i, 'error.inviteNeeded'],
	[/invite token/i, 'error.inviteBad'],
	[/deactivated/i, 'error.deactivated'],
];

/** Says in plain words what went wrong. Never shows a status code or a raw server text. */
export function describeError(error: unknown): PlainError {
	if (!(error instanceof ApiError)) return { key: 'error.unknown' };
	if (error.status === 0) return { key: 'error.network' };
	if (error.status === 429) return tooMany(error);
	const match = known.find(([pattern]) => pattern.test(error.message));
	if (match) return { key: match[1] };
	if (error.status === 401) return { key: 'error.signedOut' };
	if (error.status === 403) return { key: 'error.forbidden' };
	if (error.status === 413) return { key: 'error.tooLarge' };
	if (error.status >= 500) return { key: 'error.server' };
	return { key: 'error.unknown' };
}

function tooMany(error: ApiError): PlainError {
	const seconds = error.retryAfter;
	if (!seconds) return { key: 'error.wait' };
	if (seconds > 90) return { key: 'error.waitMinutes', params: { count: Math.ceil(seconds / 60) } };
	return { key: 'error.waitSeconds', params: { count: seconds } };
}

export type JoinProblem =
	| 'not-found'
	| 'inactive'
	| 'not-open'
	| 'full'
	| 'private'
	| 'banned'
	| 'approval'
	| 'guests-closed'
	| 'bad-name'
	| 'signed-out'
	| 'busy'
	| 'network'
	| 'server';

/** Why a room cannot be entered, from the status and, for 403, the words of the answer. */
export function joinProblem(error: unknown): JoinProblem {
	if (!(error instanceof ApiError)) return 'server';
	switch (error.status) {
		case 0:
			return 'network';
		case 400:
			return 'bad-name';
		case 401:
			return 'signed-out';
		case 404:
			return 'not-found';
		case 410:
			return error.body.code === 'room_not_open' ? 'not-open' : 'inactive';
		case 429:
			return 'busy';
		case 403:
			return forbidden(error.message.toLowerCase());
		default:
			return 'server';
	}
}

function forbidden(text: string): JoinProblem {
	if (text.includes('full')) return 'full';
	if (text.includes('banned')) return 'banned';
	if (text.includes('approval')) return 'approval';
	if (text.includes('guest')) return 'guests-closed';
	return 'private';
}
