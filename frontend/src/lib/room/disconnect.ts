import type { EndReason } from './machine';

/** LiveKit's `DisconnectReason` numbers that mean more than a broken connection. */
const reasons: Record<number, EndReason> = {
	1: 'left',
	2: 'duplicate',
	4: 'kicked',
	5: 'room-ended',
	10: 'room-ended',
};

/** What a disconnect means: the end of the meeting for this person, or `rejoin` for every kind of break. */
export function disconnectMeans(reason: number | undefined): EndReason | 'rejoin' {
	return (reason !== undefined && reasons[reason]) || 'rejoin';
}
