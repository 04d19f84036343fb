import type { DeviceKind } from '../room/device-errors';
import { readJson, readText, writeJson, writeText } from './safe';

export interface Choices {
	audioEnabled: boolean;
	videoEnabled: boolean;
	username: string;
}

const choicesKey = 'bedrud-choices';
const deviceKeys: Record<DeviceKind, string> = {
	audioinput: 'bedrud_mic_device',
	videoinput: 'bedrud_cam_device',
	audiooutput: 'bedrud_speaker_device',
};

/** What the person chose before the last meeting: microphone on and camera off until they say otherwise. */
export function readChoices(): Choices {
	const saved = readJson<Partial<Choices>>('local', choicesKey, {});
	return {
		audioEnabled: saved.audioEnabled !== false,
		videoEnabled: saved.videoEnabled === true,
		username: typeof saved.username === 'string' ? saved.username : '',
	};
}

export function writeChoices(patch: Partial<Choices>): void {
	writeJson('local', choicesKey, { ...readChoices(), ...patch });
}

export function savedDevice(kind: DeviceKind): string {
	return readText('local', deviceKeys[kind]) ?? '';
}

export function saveDevice(kind: DeviceKind, id: string): void {
	writeText('local', deviceKeys[kind], id || null);
}
