import type { MessageKey } from '../i18n/index.svelte';

export type DeviceKind = 'audioinput' | 'videoinput' | 'audiooutput';

/** The words for a camera or microphone that could not be opened, by the name of the browser's error. */
export function deviceProblem(error: unknown, kind: 'audio' | 'video' | 'screen'): MessageKey | null {
	const name = (error as { name?: string } | null)?.name ?? '';
	if (kind === 'screen') {
		// Closing the browser's picker is a decision, not an error.
		return name === 'NotAllowedError' || name === 'AbortError' ? null : 'device.screenFailed';
	}
	switch (name) {
		case 'NotAllowedError':
		case 'SecurityError':
			return kind === 'audio' ? 'device.micDenied' : 'device.camDenied';
		case 'NotFoundError':
		case 'DevicesNotFoundError':
			return kind === 'audio' ? 'device.micNone' : 'device.camNone';
		case 'NotReadableError':
		case 'TrackStartError':
		case 'AbortError':
			return kind === 'audio' ? 'device.micBusy' : 'device.camBusy';
		case 'OverconstrainedError':
			return kind === 'audio' ? 'device.micGone' : 'device.camGone';
		default:
			return kind === 'audio' ? 'device.micFailed' : 'device.camFailed';
	}
}
