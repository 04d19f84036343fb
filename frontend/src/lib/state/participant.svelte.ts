import {
	type Participant,
	ParticipantEvent,
	type RemoteParticipant,
	Track,
	type TrackPublication,
} from 'livekit-client';
import { readMetadata } from '../room/metadata';

export type Quality = 'excellent' | 'good' | 'poor' | 'lost' | 'unknown';

/** A picture that can be shown. The track is LiveKit's own object and stays out of deep reactivity. */
export interface Picture {
	sid: string;
	track: Track | null;
	/** Pixels, 0 while unknown. */
	width: number;
	height: number;
}

const refreshOn = [
	ParticipantEvent.TrackPublished,
	ParticipantEvent.TrackUnpublished,
	ParticipantEvent.TrackSubscribed,
	ParticipantEvent.TrackUnsubscribed,
	ParticipantEvent.TrackMuted,
	ParticipantEvent.TrackUnmuted,
	ParticipantEvent.LocalTrackPublished,
	ParticipantEvent.LocalTrackUnpublished,
	ParticipantEvent.TrackStreamStateChanged,
] as const;

/** What the page shows of one participant: plain values, copied from LiveKit's objects when they say so. */
export class ParticipantState {
	readonly identity: string;
	readonly local: boolean;
	name = $state('');
	avatarUrl = $state('');
	lastSpoke = $state(0);
	hasMic = $state(false);
	screen = $state.raw<Picture | null>(null);
	audioTracks = $state.raw<{ sid: string; track: Track }[]>([]);
	deafened = $state(false);
	/** The server told this participant not to write. */
	chatBlocked = $state(false);
	canPublishData = $state(true);
	readonly joinedAt: number;
	readonly guest: boolean;
	/** As LiveKit last told. While the connection is broken that is old news, so the page reads what follows instead. */
	#speaking = $state(false);
	#micMuted = $state(true);
	#camera = $state.raw<Picture | null>(null);
	#quality = $state<Quality>('unknown');
	readonly speaking = $derived.by(() => this.#speaking && this.carried());
	readonly micMuted = $derived.by(() => this.#micMuted || !this.carried());
	readonly camera = $derived.by(() => (this.carried() ? this.#camera : null));
	/** The camera is on, also while its picture cannot be shown. */
	readonly hasCamera = $derived.by(() => this.#camera !== null);
	readonly quality = $derived.by<Quality>(() => (this.carried() ? this.#quality : 'lost'));
	#off: (() => void)[] = [];

	/** `carried` is false while the connection carries no media. */
	constructor(
		readonly participant: Participant,
		private readonly carried: () => boolean,
	) {
		this.identity = participant.identity;
		this.local = participant.isLocal;
		this.joinedAt = participant.joinedAt?.getTime() ?? Date.now();
		this.guest = this.identity.startsWith('guest-');
		for (const event of refreshOn) this.#on(event, () => this.#readTracks());
		this.#on(ParticipantEvent.IsSpeakingChanged, () => this.#readSpeaking());
		this.#on(ParticipantEvent.ConnectionQualityChanged, () => this.#readQuality());
		this.#on(ParticipantEvent.ParticipantMetadataChanged, () => this.#readIdentity());
		this.#on(ParticipantEvent.ParticipantNameChanged, () => this.#readIdentity());
		this.#on(ParticipantEvent.ParticipantPermissionsChanged, () => this.#readIdentity());
		this.refresh();
	}

	refresh(): void {
		this.#readTracks();
		this.#readSpeaking();
		this.#readQuality();
		this.#readIdentity();
	}

	setVolume(volume: number): void {
		if (!this.local) (this.participant as RemoteParticipant).setVolume(volume);
	}

	dispose(): void {
		for (const off of this.#off) off();
		this.#off = [];
	}

	#on(event: ParticipantEvent, handler: () => void): void {
		// LiveKit types one callback per event; a handler that ignores its arguments fits them all.
		const emitter = this.participant as unknown as {
			on(e: string, h: () => void): void;
			off(e: string, h: () => void): void;
		};
		emitter.on(event, handler);
		this.#off.push(() => emitter.off(event, handler));
	}

	#readTracks(): void {
		const mic = this.participant.getTrackPublication(Track.Source.Microphone);
		this.hasMic = mic !== undefined;
		this.#micMuted = !mic || mic.isMuted;
		this.#camera = picture(this.participant.getTrackPublication(Track.Source.Camera), this.#camera);
		this.screen = picture(this.participant.getTrackPublication(Track.Source.ScreenShare), this.screen);
		if (!this.local) this.audioTracks = audio(this.participant, this.audioTracks);
	}

	#readSpeaking(): void {
		this.#speaking = this.participant.isSpeaking;
		if (this.#speaking) this.lastSpoke = Date.now();
	}

	#readQuality(): void {
		this.#quality = this.participant.connectionQuality as Quality;
	}

	#readIdentity(): void {
		const meta = readMetadata(this.participant.metadata);
		this.name = meta.displayName || this.participant.name || this.identity;
		this.avatarUrl = meta.avatarUrl ?? '';
		this.deafened = meta.deafened === true;
		this.chatBlocked = meta.chatBlocked === true;
		this.canPublishData = this.participant.permissions?.canPublishData !== false;
	}
}

function picture(publication: TrackPublication | undefined, before: Picture | null): Picture | null {
	if (!publication || publication.isMuted) return null;
	const track = publication.videoTrack ?? null;
	const width = publication.dimensions?.width ?? 0;
	const height = publication.dimensions?.height ?? 0;
	const same =
		before?.track === track &&
		before.sid === publication.trackSid &&
		before.width === width &&
		before.height === height;
	return same ? before : { sid: publication.trackSid, track, width, height };
}

function audio(participant: Participant, before: { sid: string; track: Track }[]): { sid: string; track: Track }[] {
	const now = [...participant.audioTrackPublications.values()].flatMap((publication) =>
		publication.track ? [{ sid: publication.trackSid, track: publication.track }] : [],
	);
	const same = now.length === before.length && now.every((item, i) => item.track === before[i]?.track);
	return same ? before : now;
}
