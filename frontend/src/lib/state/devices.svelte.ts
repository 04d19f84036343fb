import type { DeviceKind } from '../room/device-errors';
import { saveDevice, savedDevice } from '../storage/choices';

/** The machine's cameras, microphones and speakers, and which of each is chosen. Lives as long as a meeting's page. */
export class Devices {
	list = $state.raw<MediaDeviceInfo[]>([]);
	chosen = $state<Record<DeviceKind, string>>({
		audioinput: savedDevice('audioinput'),
		videoinput: savedDevice('videoinput'),
		audiooutput: savedDevice('audiooutput'),
	});
	readonly canChooseSpeaker = 'setSinkId' in HTMLMediaElement.prototype;
	#onchange = () => void this.refresh();

	constructor() {
		navigator.mediaDevices?.addEventListener('devicechange', this.#onchange);
		void this.refresh();
	}

	dispose(): void {
		navigator.mediaDevices?.removeEventListener('devicechange', this.#onchange);
	}

	/** To be called again after a permission was given: only then do browsers tell names. */
	async refresh(): Promise<void> {
		this.list = (await navigator.mediaDevices?.enumerateDevices?.().catch(() => [])) ?? [];
	}

	of(kind: DeviceKind): MediaDeviceInfo[] {
		return this.list.filter((device) => device.kind === kind && device.deviceId !== '');
	}

	/** The chosen device if it is plugged in, or else the browser's first. */
	current(kind: DeviceKind): string {
		const present = this.of(kind);
		const chosen = present.find((device) => device.deviceId === this.chosen[kind]);
		return (chosen ?? present[0])?.deviceId ?? '';
	}

	/** A device id for constraints; undefined leaves the choice to the browser. */
	wanted(kind: DeviceKind): string | undefined {
		return this.of(kind).some((device) => device.deviceId === this.chosen[kind]) ? this.chosen[kind] : undefined;
	}

	choose(kind: DeviceKind, id: string): void {
		this.chosen[kind] = id;
		saveDevice(kind, id);
	}
}
