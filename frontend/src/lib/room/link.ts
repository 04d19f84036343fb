/**
 * How the call is connected.
 *
 * - `signal`: the server is not answering, but sound and pictures may still flow
 * - `offline`: nothing arrives at all, or the browser says that it has no network
 * - `media`: sound and pictures are being set up again
 * - `rejoin`: the call was cut and we are entering it anew
 * - `back`: connected again, said for a moment
 * - `lost`: not back for a long time; tries go on, the person is asked
 */
export type Link = 'connecting' | 'ok' | 'signal' | 'offline' | 'media' | 'rejoin' | 'back' | 'lost';

export type LinkEvent =
	| 'connected'
	| 'signal-reconnecting'
	| 'reconnecting'
	| 'reconnected'
	| 'unreachable'
	| 'reachable'
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
			return link === 'ok' || link === 'back' || link === 'signal' || link === 'offline' ? 'media' : link;
		case 'reconnected':
			return link === 'ok' || link === 'connecting' ? link : 'back';
		case 'unreachable':
			return link === 'ok' || link === 'back' || link === 'signal' ? 'offline' : link;
		case 'reachable':
			return link === 'offline' ? 'signal' : link;
		case 'cut':
			return link === 'lost' ? 'lost' : 'rejoin';
		case 'gave-up':
			return isBroken(link) ? 'lost' : link;
		case 'retry':
			return link === 'lost' ? 'rejoin' : link;
		case 'settled':
			return link === 'back' ? 'ok' : link;
	}
}

/** Something is wrong, and it may yet mend itself. */
export function isBroken(link: Link): boolean {
	return link === 'signal' || link === 'offline' || link === 'media' || link === 'rejoin';
}

/** False while the others certainly get neither sound nor picture: the page must not say that they do. */
export function carriesMedia(link: Link): boolean {
	return link === 'connecting' || link === 'ok' || link === 'back' || link === 'signal';
}

/** Milliseconds to wait before the n-th try (from 0) to enter again: quick at first, then every five seconds. */
export function retryDelay(attempt: number): number {
	return [0, 500, 1000, 2000, 3000][attempt] ?? 5000;
}
