/** Messages of the server on topic `system`. */
export type SystemEvent =
	| { kind: 'moderation'; event: 'kick' | 'ban'; actor: string; target: string }
	| { kind: 'settings'; allowChat: boolean; allowVideo: boolean; allowAudio: boolean }
	| { kind: 'room-end'; message: string; deletedIdentity?: string };

const roomEnds = new Set(['room_deleted', 'room_ended', 'room_closed', 'room_archived', 'room_suspended']);

/**
 * Reads a packet of the server. `fromParticipant` says that a participant sent it: then it is worth nothing, whatever
 * it claims, because only the server may end a room or remove a person.
 */
export function decodeSystem(payload: Uint8Array, fromParticipant: boolean): SystemEvent | null {
	if (fromParticipant) return null;
	let raw: Record<string, unknown>;
	try {
		raw = JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>;
	} catch {
		return null;
	}
	if (!raw || typeof raw !== 'object' || raw.type !== 'system' || typeof raw.event !== 'string') return null;
	if (roomEnds.has(raw.event)) {
		return {
			kind: 'room-end',
			message: typeof raw.message === 'string' ? raw.message : '',
			...(typeof raw.deletedIdentity === 'string' ? { deletedIdentity: raw.deletedIdentity } : {}),
		};
	}
	if (raw.event === 'room_settings' && raw.settings && typeof raw.settings === 'object') {
		const settings = raw.settings as Record<string, unknown>;
		const on = (key: string) => settings[key] !== false;
		return { kind: 'settings', allowChat: on('allowChat'), allowVideo: on('allowVideo'), allowAudio: on('allowAudio') };
	}
	if (
		(raw.event === 'kick' || raw.event === 'ban') &&
		typeof raw.actor === 'string' &&
		typeof raw.target === 'string'
	) {
		return { kind: 'moderation', event: raw.event, actor: raw.actor, target: raw.target };
	}
	return null;
}
