/**
 * Topic `stage`: who shows something to all. Our own app shows every screen share it receives; the packets tell
 * other Bedrud clients, which wait for them, that a share is on.
 */
const encoder = new TextEncoder();

export interface Stage {
	kind: 'screenshare';
	ownerIdentity: string;
	ownerName: string;
	updatedAt: number;
}

export function stageSet(stage: Stage): Uint8Array {
	return encoder.encode(JSON.stringify({ type: 'stage_set', stage }));
}

export function stageState(stage: Stage, ts: number): Uint8Array {
	return encoder.encode(JSON.stringify({ type: 'stage_state', stage, ts }));
}

export function stageClear(ownerIdentity: string, ts: number): Uint8Array {
	return encoder.encode(JSON.stringify({ type: 'stage_clear', ownerIdentity, ts }));
}

export function isStageRequest(payload: Uint8Array): boolean {
	try {
		return (JSON.parse(new TextDecoder().decode(payload)) as { type?: unknown } | null)?.type === 'stage_request';
	} catch {
		return false;
	}
}
