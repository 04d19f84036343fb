import {
	type LocalTrack,
	type Participant,
	type Room,
	ScreenSharePresets,
	Track,
	type TrackPublication,
} from 'livekit-client';
import { t } from '../i18n/index.svelte';
import { type DeviceKind, deviceProblem } from '../room/device-errors';
import { writeChoices } from '../storage/choices';
import { announcer } from './announcer.svelte';
import type { Devices } from './devices.svelte';
import { toasts } from './toasts.svelte';

/**
 * The person's own microphone, camera and screen in a call. What is wanted outlives a broken connection; what is on is
 * what the others can hear and see.
 */
export class LocalMedia {
	micWanted = $state(false);
	camWanted = $state(false);
	#screen = $state(false);
	readonly micOn = $derived.by(() => this.micWanted && this.carried());
	readonly camOn = $derived.by(() => this.camWanted && this.carried());
	readonly screenOn = $derived.by(() => this.#screen && this.carried());
	/** Off because the connection is broken, on again with it. */
	readonly micWaits = $derived.by(() => this.micWanted && !this.carried());
	readonly camWaits = $derived.by(() => this.camWanted && !this.carried());
	busy = $state({ mic: false, cam: false, screen: false });
	/** What the room lets this person publish; the server decides. */
	may = $state.raw({ mic: true, cam: true });
	readonly canShare = typeof navigator.mediaDevices?.getDisplayMedia === 'function';

	#closed = false;
	readonly #turns = { mic: Promise.resolve(), cam: Promise.resolve() };
	/** Tracks whose device is open and which are not published yet. */
	readonly #opening = new Set<LocalTrack>();

	/** `carried` is false while the connection carries no media. */
	constructor(
		private readonly room: Room,
		private readonly devices: Devices,
		private readonly carried: () => boolean,
		private readonly sharingChanged: () => void,
	) {
		room.on('localTrackUnpublished', (publication) => {
			// The browser's own "stop sharing" ends the track without asking us. While the room reconnects, tracks
			// come and go by themselves; what is left is read afterwards.
			if (publication.source === Track.Source.ScreenShare) setTimeout(() => this.syncShare(), 0);
		});
		room.on('reconnected', () => this.syncShare());
		room.on('participantPermissionsChanged', (_before, participant) => {
			if (participant === room.localParticipant) void this.#readRights();
		});
	}

	/** What the server lets us publish now. What is on and forbidden goes off, so that the device is let go. */
	async #readRights(): Promise<void> {
		const permissions = this.room.localParticipant.permissions;
		if (!permissions) return;
		const sources = permissions.canPublishSources.map((source) => Track.sourceFromProto(source));
		const allows = (source: Track.Source) =>
			permissions.canPublish && (sources.length === 0 || sources.includes(source));
		this.may = { mic: allows(Track.Source.Microphone), cam: allows(Track.Source.Camera) };
		if (!this.may.mic && this.micWanted) await this.#off('mic');
		if (!this.may.cam && this.camWanted) await this.#off('cam');
	}

	/** Lets go of a device without a change of what the person chose. */
	async #off(kind: 'mic' | 'cam'): Promise<void> {
		const { localParticipant } = this.room;
		if (kind === 'mic') this.micWanted = false;
		else this.camWanted = false;
		const publication = localParticipant.getTrackPublication(
			kind === 'mic' ? Track.Source.Microphone : Track.Source.Camera,
		);
		if (publication?.track) await localParticipant.unpublishTrack(publication.track, true).catch(() => {});
		toasts.show(t(kind === 'mic' ? 'control.micForbidden' : 'control.cameraForbidden'));
	}

	async start(wanted: { audio: boolean; video: boolean }): Promise<void> {
		await this.#readRights();
		await this.#applySpeaker();
		await Promise.all([wanted.audio ? this.setMic(true) : null, wanted.video ? this.setCamera(true) : null]);
	}

	/** Ends with the call: a device that opens from now on is let go at once. */
	dispose(): void {
		this.#closed = true;
		for (const track of this.#opening) track.stop();
		for (const publication of this.room.localParticipant.trackPublications.values()) publication.track?.stop();
	}

	/** Brings what is published in line with what is wanted, after a break in which it could not be. */
	async settle(): Promise<void> {
		const me = this.room.localParticipant;
		await Promise.all([
			me.isMicrophoneEnabled === this.micWanted ? null : this.setMic(this.micWanted),
			me.isCameraEnabled === this.camWanted ? null : this.setCamera(this.camWanted),
		]);
	}

	/** Publishes again what was on before the connection broke. A screen needs a new click, so it stays off. */
	async restore(): Promise<void> {
		if (this.#screen) {
			this.#screen = false;
			toasts.show(t('media.shareEnded'));
		}
		await this.start({ audio: this.micWanted, video: this.camWanted });
	}

	/** Takes over from LiveKit whether the screen is still shared. */
	syncShare(): void {
		if (this.room.state !== 'connected' || this.busy.screen) return;
		const on = this.room.localParticipant.isScreenShareEnabled;
		if (on === this.#screen) return;
		this.#screen = on;
		this.sharingChanged();
	}

	setMic(on: boolean): Promise<void> {
		// One after the other, so that the last wish is the one that stays.
		this.#turns.mic = this.#turns.mic.then(() => this.#switchMic(on));
		return this.#turns.mic;
	}

	async #switchMic(on: boolean): Promise<void> {
		if (this.#closed || (on && !this.may.mic)) return;
		// Switching off takes effect at once. What is wanted on waits until the others can have it.
		if (on && !this.carried()) {
			this.micWanted = true;
			writeChoices({ audioEnabled: true });
			return;
		}
		this.busy.mic = true;
		try {
			const audio = { deviceId: this.devices.wanted('audioinput') };
			if (on) await this.#open(Track.Source.Microphone, { audio });
			else await this.room.localParticipant.setMicrophoneEnabled(false);
			this.micWanted = on;
			writeChoices({ audioEnabled: on });
		} catch (error) {
			this.micWanted = false;
			this.#report(error, 'audio');
		} finally {
			this.busy.mic = false;
		}
		if (!this.#closed) void this.devices.refresh();
	}

	setCamera(on: boolean): Promise<void> {
		// One after the other, so that the last wish is the one that stays.
		this.#turns.cam = this.#turns.cam.then(() => this.#switchCamera(on));
		return this.#turns.cam;
	}

	async #switchCamera(on: boolean): Promise<void> {
		if (this.#closed || (on && !this.may.cam)) return;
		if (on && !this.carried()) {
			this.camWanted = true;
			writeChoices({ videoEnabled: true });
			return;
		}
		this.busy.cam = true;
		try {
			const resolution = { width: 1280, height: 720, frameRate: 30 };
			const video = { deviceId: this.devices.wanted('videoinput'), resolution };
			if (on) await this.#open(Track.Source.Camera, { video });
			else await this.room.localParticipant.setCameraEnabled(false);
			this.camWanted = on;
			writeChoices({ videoEnabled: on });
		} catch (error) {
			this.camWanted = false;
			this.#report(error, 'video');
		} finally {
			this.busy.cam = false;
		}
		if (!this.#closed) void this.devices.refresh();
	}

	toggleMic(): Promise<void> {
		const on = !this.micWanted;
		announcer.polite(t(on ? (this.carried() ? 'media.micOn' : 'media.micWaits') : 'media.micOff'));
		return this.setMic(on);
	}

	toggleCamera(): Promise<void> {
		const on = !this.camWanted;
		announcer.polite(t(on ? (this.carried() ? 'media.camOn' : 'media.camWaits') : 'media.camOff'));
		return this.setCamera(on);
	}

	async toggleScreen(): Promise<void> {
		const on = !this.#screen;
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
			if (this.#closed) for (const { track } of this.room.localParticipant.trackPublications.values()) track?.stop();
			this.#screen = on;
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
		if (publication.source === Track.Source.Microphone && this.micWanted && !this.busy.mic) {
			this.micWanted = false;
			announcer.assertive(t('media.mutedElsewhere'));
			toasts.show(t('media.mutedElsewhere'));
		} else if (publication.source === Track.Source.Camera && this.camWanted && !this.busy.cam) {
			this.camWanted = false;
			toasts.show(t('media.camOffElsewhere'));
		}
	}

	/** Unmutes what is published, or opens the device and publishes it. Nothing stays open when the call ends meanwhile. */
	async #open(source: Track.Source, options: Parameters<Room['localParticipant']['createTracks']>[0]): Promise<void> {
		const me = this.room.localParticipant;
		const published = me.getTrackPublication(source);
		if (published) {
			await published.unmute();
			return;
		}
		const tracks = await me.createTracks(options);
		for (const track of tracks) this.#opening.add(track);
		try {
			for (const track of tracks) {
				if (this.#closed) track.stop();
				else await me.publishTrack(track, { source });
			}
		} catch (error) {
			for (const track of tracks) track.stop();
			throw error;
		} finally {
			for (const track of tracks) this.#opening.delete(track);
			if (this.#closed) for (const track of tracks) track.stop();
		}
	}

	async #applySpeaker(): Promise<void> {
		const speaker = this.devices.wanted('audiooutput');
		if (speaker && this.devices.canChooseSpeaker)
			await this.room.switchActiveDevice('audiooutput', speaker).catch(() => {});
	}

	#report(error: unknown, kind: 'audio' | 'video'): void {
		if (this.#closed) return;
		const key = deviceProblem(error, kind);
		if (key) toasts.show(t(key), 'error');
	}
}
