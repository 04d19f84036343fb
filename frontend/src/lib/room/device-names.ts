import { t } from '../i18n/index.svelte';
import type { DeviceKind } from './device-errors';

/** Rows for a list of devices; before a permission is given, browsers tell no names and the rows are numbered. */
export function deviceOptions(devices: MediaDeviceInfo[], kind: DeviceKind): { value: string; label: string }[] {
	const key = kind === 'audioinput' ? 'device.micN' : kind === 'videoinput' ? 'device.cameraN' : 'device.speakerN';
	return devices.map((device, index) => ({
		value: device.deviceId,
		label: device.label || t(key, { number: index + 1 }),
	}));
}
