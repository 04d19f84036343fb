import { type Participant, type Room, ScreenSharePresets, Track, type TrackPublication } from 'livekit-client';
import { t } from '../i18n/index.svelte';
import { type DeviceKind, deviceProblem } from '../room/device-errors';
import { writeChoices } from '../storage/choices';
import { announcer } from './announcer.svelte';
import type { Devices } from './devices.svelte';
import { toasts } from './toasts.svelte';

/** The person's own microphone, camera and screen in a call. `wanted` outlives a broken connection. */
export class LocalMedia {
	micOn = $state(false);
	camOn = $state(false);
	screenOn = $state(false);
	busy = $state({ mic: false, cam: false, screen: false });
	readonly canShare = typeof navigator.mediaDevices?.getDisplayMedia === 'function';

	constructor(
		private readonly room: Room,
		private readonly devices: Devices,
		private readonly sharingChanged: () => void,
	) {
		room.on('localTrackUnpublished', (publication) => {
			// The browser's own "stop sharing" ends the track without asking us. While the room reconnects, tracks
			// come and go by themselves; what is left is read afterwards.
			if (publication.source === Track.Source.ScreenShare) setTimeout(() => this.syncShare(), 0);
		});
		room.on('reconnected', () => this.syncShare());
	}

	async start(wanted: { audio: boolean; video: boolean }): Promise<void> {
		await this.#applySpeaker();
		await Promise.all([wanted.audio ? this.setMic(true) : null, wanted.video ? this.setCamera(true) : null]);
	}

	/** Publishes again what was on before the connection broke. A screen needs a new click, so it stays off. */
	async restore(): Promise<void> {
		if (this.screenOn) {
			this.screenOn = false;
			toasts.show(t('media.shareEnded'));
		}
		await this.start({ audio: this.micOn, video: this.camOn });
	}

	/** Takes over from LiveKit whether the screen is still shared. */
	syncShare(): void {
		if (this.room.state !== 'connected' || this.busy.screen) return;
		const on = this.room.localParticipant.isScreenShareEnabled;
		if (on === this.screenOn) return;
		this.screenOn = on;
		this.sharingChanged();
	}

	async setMic(on: boolean): Promise<void> {
		this.busy.mic = true;
		try {
			await this.room.localParticipant.setMicrophoneEnabled(on, { deviceId: this.devices.wanted('audioinput') });
			this.micOn = on;
			writeChoices({ audioEnabled: on });
		} catch (error) {
			this.micOn = false;
			this.#report(error, 'audio');
		} finally {
			this.busy.mic = false;
		}
		void this.devices.refresh();
	}

	async setCamera(on: boolean): Promise<void> {
		this.busy.cam = true;
		try {
			await this.room.localParticipant.setCameraEnabled(on, {
				deviceId: this.devices.wanted('videoinput'),
				resolution: { width: 1280, height: 720, frameRate: 30 },
			});
			this.camOn = on;
			writeChoices({ videoEnabled: on });
		} catch (error) {
			this.camOn = false;
			this.#report(error, 'video');
		} finally {
			this.busy.cam = false;
		}
		void this.devices.refresh();
	}

	toggleMic(): Promise<void> {
		const on = !this.micOn;
		announcer.polite(t(on ? 'media.micOn' : 'media.micOff'));
		return this.setMic(on);
	}

	toggleCamera(): Promise<void> {
		const on = !this.camOn;
		announcer.polite(t(on ? 'media.camOn' : 'media.camOff'));
		return this.setCamera(on);
	}

	async toggleScreen(): Promise<void> {
		const on = !this.screenOn;
		this.busy.screen = true;
		try {
			await this.room.localParticipant.setScreenShareEnabled(
				on,
				{
					audio: true,
					systemAudio: 'include',
					selfBrowserSurface: 'exclude',
					surfaceSwitching: 'include',
					contentHint: 'detail',
					resolution: ScreenSharePresets.h1080fps15.resolution,
				},
				{ screenShareEncoding: ScreenSharePresets.h1080fps15.encoding },
			);
			this.screenOn = on;
			announcer.polite(t(on ? 'media.shareOn' : 'media.shareOff'));
		} catch (error) {
			const key = deviceProblem(error, 'screen');
			if (key) toasts.show(t(key), 'error');
		} finally {
			this.busy.screen = false;
		}
		this.sharingChanged();
	}

	async choose(kind: DeviceKind, id: string): Promise<void> {
		this.devices.choose(kind, id);
		try {
			await this.room.switchActiveDevice(kind, id);
		} catch (error) {
			if (kind !== 'audiooutput') this.#report(error, kind === 'audioinput' ? 'audio' : 'video');
			else toasts.show(t('device.speakerFailed'), 'error');
		}
	}

	/** Front and back camera of a phone. */
	async flip(): Promise<void> {
		const cameras = this.devices.of('videoinput');
		const at = cameras.findIndex((camera) => camera.deviceId === this.devices.current('videoinput'));
		const next = cameras[(at + 1) % cameras.length];
		if (next) await this.choose('videoinput', next.deviceId);
	}

	/** Muted from elsewhere, or the device is gone: the button must tell the truth. */
	remoteMute(publication: TrackPublication, participant: Participant): void {
		if (participant !== this.room.localParticipant) return;
		if (publication.source === Track.Source.Microphone && this.micOn && !this.busy.mic) {
			this.micOn = false;
			announcer.assertive(t('media.mutedElsewhere'));
			toasts.show(t('media.mutedElsewhere'));
		} else if (publication.source === Track.Source.Camera && this.camOn && !this.busy.cam) {
			this.camOn = false;
			toasts.show(t('media.camOffElsewhere'));
		}
	}

	async #applySpeaker(): Promise<void> {
		const speaker = this.devices.wanted('audiooutput');
		if (speaker && this.devices.canChooseSpeaker)
			await this.room.switchActiveDevice('audiooutput', speaker).catch(() => {});
	}

	#report(error: unknown, kind: 'audio' | 'video'): void {
		const key = deviceProblem(error, kind);
		if (key) toasts.show(t(key), 'error');
	}
}
