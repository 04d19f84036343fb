/**
 * What participants and the server write into a participant's metadata, as far as the app reads it. `chatBlocked` is the
 * server's, which puts it back whatever a participant writes. Roles are not read here: the host is who the server's
 * answer to joining names, and what somebody may do is asked of the server.
 */
export interface ParticipantMeta {
	displayName?: string;
	avatarUrl?: string;
	deafened?: boolean;
	chatBlocked?: boolean;
	pushToTalk?: boolean;
	pttMicHardMuted?: boolean;
}

/** Reads metadata that anybody may have written: wrong types and broken JSON are left out. */
export function readMetadata(text: string | undefined): ParticipantMeta {
	const raw = parseObject(text);
	const string = (key: string) => (typeof raw[key] === 'string' ? (raw[key] as string).slice(0, 512) : undefined);
	const flag = (key: string) => (typeof raw[key] === 'boolean' ? (raw[key] as boolean) : undefined);
	return {
		displayName: string('displayName'),
		avatarUrl: string('avatarUrl'),
		deafened: flag('deafened'),
		chatBlocked: flag('chatBlocked'),
		pushToTalk: flag('pushToTalk'),
		pttMicHardMuted: flag('pttMicHardMuted'),
	};
}

/** Adds keys to metadata and keeps all others, which belong to the server and to other clients. */
export function mergeMetadata(text: string | undefined, patch: Record<string, unknown>): string {
	return JSON.stringify({ ...parseObject(text), ...patch });
}

function parseObject(text: string | undefined): Record<string, unknown> {
	if (!text) return {};
	try {
		const value: unknown = JSON.parse(text);
		return value && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
	} catch {
		return {};
	}
}
