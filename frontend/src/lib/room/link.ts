/**
 * How the call is connected.
 *
 * - `signal`: the server is not answering, but sound and pictures may still flow
 * - `media`: sound and pictures are being set up again
 * - `rejoin`: the call was cut and we are entering it anew
 * - `back`: connected again, said for a moment
 * - `lost`: not back for a long time; tries go on, the person is asked
 */
export type Link = 'connecting' | 'ok' | 'signal' | 'media' | 'rejoin' | 'back' | 'lost';

export type LinkEvent =
	| 'connected'
	| 'signal-reconnecting'
	| 'reconnecting'
	| 'reconnected'
	| 'cut'
	| 'gave-up'
	| 'retry'
	| 'settled';

/** How long a break may last before the person is told that it looks bad, in milliseconds. */
export const lostAfterMs = 30_000;

export function nextLink(link: Link, event: LinkEvent): Link {
	switch (event) {
		case 'connected':
			return link === 'connecting' ? 'ok' : 'back';
		case 'signal-reconnecting':
			return link === 'ok' || link === 'back' ? 'signal' : link;
		case 'reconnecting':
			return link === 'ok' || link === 'back' || link === 'signal' ? 'media' : link;
		case 'reconnected':
			return link === 'ok' || link === 'connecting' ? link : 'back';
		case 'cut':
			return link === 'lost' ? 'lost' : 'rejoin';
		case 'gave-up':
			return link === 'signal' || link === 'media' || link === 'rejoin' ? 'lost' : link;
		case 'retry':
			return link === 'lost' ? 'rejoin' : link;
		case 'settled':
			return link === 'back' ? 'ok' : link;
	}
}

/** Milliseconds to wait before the n-th try (from 0) to enter again: quick at first, then every five seconds. */
export function retryDelay(attempt: number): number {
	return [0, 500, 1000, 2000, 3000][attempt] ?? 5000;
}
