import type { Room } from 'livekit-client';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Devices } from '../src/lib/state/devices.svelte';
import { LocalMedia } from '../src/lib/state/local-media.svelte';

class Track {
	stopped = false;
	muted = false;
	constructor(readonly source: string) {}
	stop() {
		this.stopped = true;
	}
}

/** What LocalMedia uses of LiveKit's room, with devices that open when the test says so. */
function fakeRoom() {
	const made: Track[] = [];
	const published = new Map<string, Track>();
	const gates = { open: Promise.resolve() as Promise<unknown>, publish: Promise.resolve() as Promise<unknown> };
	const publication = (source: string) => {
		const track = published.get(source);
		if (!track) return undefined;
		const mute = (muted: boolean) => async () => {
			track.muted = muted;
		};
		return { track, mute: mute(true), unmute: mute(false) };
	};
	const enabled = (source: string) => published.has(source) && !published.get(source)?.muted;
	const localParticipant = {
		get trackPublications() {
			return new Map([...published].map(([source, track]) => [source, { track }]));
		},
		get isMicrophoneEnabled() {
			return enabled('microphone');
		},
		get isCameraEnabled() {
			return enabled('camera');
		},
		getTrackPublication: publication,
		async createTracks(options: { audio?: unknown }) {
			const track = new Track(options.audio ? 'microphone' : 'camera');
			await gates.open;
			made.push(track);
			return [track];
		},
		async publishTrack(track: Track, { source }: { source: string }) {
			await gates.publish;
			published.set(source, track);
		},
		setMicrophoneEnabled: async () => publication('microphone')?.mute(),
		setCameraEnabled: async () => publication('camera')?.mute(),
	};
	const room = { on: () => {}, localParticipant, state: 'connected' };
	return { room: room as unknown as Room, made, published, gates };
}

const devices = { wanted: () => undefined, refresh: async () => {}, canChooseSpeaker: false } as unknown as Devices;

function gate() {
	let open = () => {};
	return { shut: new Promise<void>((resolve) => (open = resolve)), open: () => open() };
}

describe('microphone and camera', () => {
	beforeEach(() => {
		vi.stubGlobal('navigator', { mediaDevices: {} });
		return () => vi.unstubAllGlobals();
	});

	it('do not stay open when the call ends while a device opens, or while it is published', async () => {
		for (const at of ['open', 'publish'] as const) {
			const { room, made, gates } = fakeRoom();
			const { shut, open } = gate();
			gates[at] = shut;
			const media = new LocalMedia(
				room,
				devices,
				() => true,
				() => {},
			);
			const started = media.start({ audio: true, video: true });
			await new Promise((resolve) => setTimeout(resolve));
			media.dispose();
			if (at === 'publish') expect(made.every((track) => track.stopped)).toBe(true);
			open();
			await started;
			expect(made.map((track) => [track.source, track.stopped])).toEqual([
				['microphone', true],
				['camera', true],
			]);
		}
	});

	it('are not opened at all after the call', async () => {
		const { room, made } = fakeRoom();
		const media = new LocalMedia(
			room,
			devices,
			() => true,
			() => {},
		);
		media.dispose();
		await media.start({ audio: true, video: true });
		expect(made).toEqual([]);
	});

	it('end as they were asked last, however fast', async () => {
		const { room, made, published } = fakeRoom();
		const media = new LocalMedia(
			room,
			devices,
			() => true,
			() => {},
		);
		for (const on of [true, false, true, true, false, true]) void media.setMic(on);
		await media.setMic(false);
		expect(made).toHaveLength(1);
		expect(published.get('microphone')?.muted).toBe(true);
		expect(media.micOn).toBe(false);
		await media.setMic(true);
		expect([published.get('microphone')?.muted, media.micOn]).toEqual([false, true]);
	});

	it('are off while nothing is carried, and as wanted afterwards', async () => {
		const { room, published } = fakeRoom();
		const line = { carried: true };
		const media = new LocalMedia(
			room,
			devices,
			() => line.carried,
			() => {},
		);
		await media.start({ audio: true, video: false });
		line.carried = false;
		// Off is done at once, on waits.
		await media.setMic(false);
		await media.setCamera(true);
		expect(published.get('microphone')?.muted).toBe(true);
		expect(published.has('camera')).toBe(false);
		line.carried = true;
		await media.settle();
		expect([media.micOn, media.camOn]).toEqual([false, true]);
		expect(published.has('camera')).toBe(true);
	});
});
