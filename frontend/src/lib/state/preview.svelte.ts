import type { MessageKey } from '../i18n/index.svelte';
import { deviceProblem } from '../room/device-errors';
import { readChoices, writeChoices } from '../storage/choices';
import type { Devices } from './devices.svelte';

type Kind = 'audio' | 'video';

/** The person's own camera and microphone before a meeting. Uses the browser alone, so nothing has to load first. */
export class Preview {
	audioOn = $state(readChoices().audioEnabled);
	videoOn = $state(readChoices().videoEnabled);
	audioProblem = $state<MessageKey | null>(null);
	videoProblem = $state<MessageKey | null>(null);
	audioStream = $state.raw<MediaStream | null>(null);
	videoStream = $state.raw<MediaStream | null>(null);
	asking = $state(false);
	/** What the room lets people use. */
	allowed = $state.raw<Record<Kind, boolean>>({ audio: true, video: true });
	#runs: Record<Kind, number> = { audio: 0, video: 0 };
	#disposed = false;

	constructor(private readonly devices: Devices) {}

	/** False on plain-HTTP addresses, where browsers give no camera and no microphone. */
	get supported(): boolean {
		return !!navigator.mediaDevices?.getUserMedia;
	}

	/** Takes over what the room's owner has switched off. What the person chose for other rooms stays as it is. */
	allow(allowed: Record<Kind, boolean>): void {
		this.allowed = allowed;
		if (!allowed.audio) this.audioOn = false;
		if (!allowed.video) this.videoOn = false;
	}

	async start(): Promise<void> {
		if (!this.supported) {
			this.audioOn = false;
			this.videoOn = false;
			return;
		}
		await this.devices.refresh();
		if (this.#disposed) return;
		this.asking = true;
		await Promise.all([this.audioOn ? this.#open('audio') : null, this.videoOn ? this.#open('video') : null]);
		this.asking = false;
	}

	async toggle(kind: Kind): Promise<void> {
		if (!this.allowed[kind]) return;
		const on = !(kind === 'audio' ? this.audioOn : this.videoOn);
		if (kind === 'audio') this.audioOn = on;
		else this.videoOn = on;
		writeChoices(kind === 'audio' ? { audioEnabled: on } : { videoEnabled: on });
		if (on) await this.#open(kind);
		else this.#close(kind);
	}

	/** Opens the newly chosen device in place of the old one. */
	async restart(kind: Kind): Promise<void> {
		if (kind === 'audio' ? this.audioOn : this.videoOn) await this.#open(kind);
	}

	async #open(kind: Kind): Promise<void> {
		const run = ++this.#runs[kind];
		this.#set(kind, null, null);
		try {
			const stream = await this.#request(kind);
			if (this.#disposed || run !== this.#runs[kind]) {
				stop(stream);
				return;
			}
			this.#set(kind, stream, null);
			void this.devices.refresh();
		} catch (error) {
			if (run !== this.#runs[kind]) return;
			this.#set(kind, null, deviceProblem(error, kind));
			if (kind === 'audio') this.audioOn = false;
			else this.videoOn = false;
		}
	}

	async #request(kind: Kind): Promise<MediaStream> {
		const device = this.devices.wanted(kind === 'audio' ? 'audioinput' : 'videoinput');
		const exact = device ? { deviceId: { exact: device } } : {};
		if (kind === 'audio') {
			return navigator.mediaDevices.getUserMedia({
				audio: { ...exact, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
			});
		}
		return navigator.mediaDevices.getUserMedia({ video: { ...exact, width: { ideal: 1280 }, height: { ideal: 720 } } });
	}

	#close(kind: Kind): void {
		this.#runs[kind]++;
		this.#set(kind, null, null);
	}

	#set(kind: Kind, stream: MediaStream | null, problem: MessageKey | null): void {
		stop(kind === 'audio' ? this.audioStream : this.videoStream);
		if (kind === 'audio') {
			this.audioStream = stream;
			this.audioProblem = problem;
		} else {
			this.videoStream = stream;
			this.videoProblem = problem;
		}
	}

	dispose(): void {
		this.#disposed = true;
		stop(this.audioStream);
		stop(this.videoStream);
		this.audioStream = null;
		this.videoStream = null;
	}
}

function stop(stream: MediaStream | null): void {
	for (const track of stream?.getTracks() ?? []) track.stop();
}
