import {
	DefaultReconnectPolicy,
	type DisconnectReason,
	type Participant,
	type RemoteParticipant,
	Room,
	RoomEvent,
} from 'livekit-client';
import { SvelteMap } from 'svelte/reactivity';
import { api } from '../api';
import type { JoinResponse } from '../api/types';
import { t } from '../i18n/index.svelte';
import { deviceProblem } from '../room/device-errors';
import { disconnectMeans } from '../room/disconnect';
import { carriesMedia, isBroken, type Link, type LinkEvent, lostAfterMs, nextLink } from '../room/link';
import type { EndReason } from '../room/machine';
import { mergeMetadata } from '../room/metadata';
import { decodeSystem } from '../wire/system';
import { announcer } from './announcer.svelte';
import { ChatState, type Person } from './chat.svelte';
import type { Devices } from './devices.svelte';
import { LayoutState } from './layout.svelte';
import { LocalMedia } from './local-media.svelte';
import { ParticipantState } from './participant.svelte';
import { Reachability } from './reachability';
import { Rejoin } from './rejoin';
import { settings } from './settings.svelte';
import { StageVoice } from './stage-voice';
import { toasts } from './toasts.svelte';

const backShownMs = 3000;
/** Waits between LiveKit's own tries, in milliseconds. When they are used up we enter anew, with a fresh token. */
const reconnectDelays = [0, 300, 1000, 2000, 3000, 3000, 3000, 3000, 3000];

export interface EnterOptions {
	name: string;
	audio: boolean;
	video: boolean;
}

/** One visit to a room: owns LiveKit's `Room` from entering to leaving and shows it as plain reactive values. */
export class CallState {
	readonly room: Room;
	readonly people = new SvelteMap<string, ParticipantState>();
	readonly chat: ChatState;
	readonly layout: LayoutState;
	readonly media: LocalMedia;
	link = $state<Link>('connecting');
	/** False while the others certainly get nothing of us, nor we of them. */
	readonly carried = $derived(carriesMedia(this.link));
	/** False when the browser holds sound back until somebody presses a button. */
	canPlayAudio = $state(true);
	startedAt = $state(0);
	me = $state.raw<ParticipantState | null>(null);
	readonly list = $derived([...this.people.values()]);
	/** The room's chat is on. */
	chatOn = $state(true);
	readonly hostId: string;
	onended: (reason: EndReason) => void = () => {};
	#token: string;
	#rejoin: Rejoin | null = null;
	#leaving = false;
	#banned = false;
	#lostTimer: ReturnType<typeof setTimeout> | undefined;
	#stage: StageVoice;
	readonly #reachability = new Reachability({
		quietFor: () => quietFor(this.room),
		ask: (signal) => fetch('/api/health', { cache: 'no-store', signal }).then((answer) => answer.text()),
		changed: (reachable) => this.#reached(reachable),
		visible: () => document.visibilityState === 'visible',
	});

	constructor(
		readonly info: JoinResponse,
		readonly devices: Devices,
	) {
		this.hostId = info.adminId || info.createdBy || '';
		this.#token = info.token;
		this.chatOn = info.settings?.allowChat !== false;
		this.room = new Room({
			adaptiveStream: true,
			dynacast: true,
			disconnectOnPageLeave: true,
			reconnectPolicy: new DefaultReconnectPolicy(reconnectDelays),
			audioCaptureDefaults: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
		});
		this.layout = new LayoutState(() => this.list);
		this.media = new LocalMedia(
			this.room,
			devices,
			() => this.carried,
			() => this.#stage.changed(),
		);
		this.chat = new ChatState(
			info.id,
			() => this.#person(this.room.localParticipant),
			({ topic, payload }) => this.#publish(topic, payload),
			settings.value.chatMessageTTLHours,
		);
		this.#stage = new StageVoice(this.room, (payload) => this.#publish('stage', payload));
		this.#listen();
		if (debugging()) window.__bedrudRoom = this.room;
	}

	get amHost(): boolean {
		return this.hostId !== '' && this.room.localParticipant.identity === this.hostId;
	}

	async enter(options: Pick<EnterOptions, 'name'>): Promise<void> {
		await this.#connect();
		this.startedAt = Date.now();
		this.#step('connected');
		this.#adopt();
		this.#reachability.start();
		void this.#rename(options.name);
	}

	async leave(): Promise<void> {
		this.#leaving = true;
		this.#rejoin?.stop();
		this.media.dispose();
		await this.room.disconnect();
		this.onended('left');
	}

	/** Tries at once: skips the present wait, or gives up LiveKit's own tries and enters the room anew. */
	retryNow(): void {
		this.#step('retry');
		if (this.#rejoin) this.#rejoin.now();
		else void this.#comeBack();
	}

	async startAudio(): Promise<void> {
		await this.room.startAudio().catch(() => {});
		this.canPlayAudio = this.room.canPlaybackAudio;
	}

	dispose(): void {
		this.#leaving = true;
		this.#rejoin?.stop();
		this.#reachability.stop();
		this.#stopLostTimer();
		this.media.dispose();
		this.room.removeAllListeners();
		void this.room.disconnect();
		for (const person of this.people.values()) person.dispose();
		if (window.__bedrudRoom === this.room) window.__bedrudRoom = undefined;
	}

	#listen(): void {
		this.room
			.on(RoomEvent.ParticipantConnected, (participant) => {
				this.#add(participant);
				this.#stage.greet();
				announcer.polite(t('people.joined', { name: this.#person(participant).name }));
			})
			.on(RoomEvent.ParticipantDisconnected, (participant) => {
				announcer.polite(t('people.left', { name: this.#person(participant).name }));
				this.#remove(participant.identity);
			})
			.on(RoomEvent.SignalReconnecting, () => this.#step('signal-reconnecting'))
			.on(RoomEvent.Reconnecting, () => this.#step('reconnecting'))
			.on(RoomEvent.Reconnected, () => {
				this.#adopt();
				this.#step('reconnected');
				void this.media.settle();
				void this.chat.retryAll();
			})
			.on(RoomEvent.Disconnected, (reason) => this.#disconnected(reason))
			.on(RoomEvent.AudioPlaybackStatusChanged, () => {
				this.canPlayAudio = this.room.canPlaybackAudio;
			})
			.on(RoomEvent.DataReceived, (payload, participant, _kind, topic) => this.#data(payload, participant, topic))
			.on(RoomEvent.MediaDevicesError, (error, kind) => {
				const key = deviceProblem(error, kind === 'videoinput' ? 'video' : 'audio');
				if (key) toasts.show(t(key), 'error');
			})
			.on(RoomEvent.LocalAudioSilenceDetected, () => toasts.show(t('media.silent')))
			.on(RoomEvent.TrackMuted, (publication, participant) => this.media.remoteMute(publication, participant));
		this.room.registerTextStreamHandler('lk.chat', async (reader, { identity }) => {
			const text = await reader.readAll();
			const sender = this.room.remoteParticipants.get(identity);
			if (sender && this.chatOn)
				this.chat.receiveText(reader.info.id, text, reader.info.timestamp, this.#person(sender));
		});
	}

	#data(payload: Uint8Array, participant: RemoteParticipant | undefined, topic: string | undefined): void {
		if (topic === 'system') this.#system(payload, participant !== undefined);
		else if (topic === 'stage') this.#stage.receive(payload);
		else if (this.chatOn) this.chat.receive(topic, payload, participant && this.#person(participant));
	}

	#system(payload: Uint8Array, fromParticipant: boolean): void {
		const event = decodeSystem(payload, fromParticipant);
		if (!event) return;
		const mine = this.room.localParticipant.identity;
		if (event.kind === 'room-end') {
			this.#end(event.deletedIdentity === mine ? 'account-deleted' : 'room-ended');
		} else if (event.kind === 'settings') {
			this.chatOn = event.allowChat;
		} else if (event.event === 'ban' && event.target === mine) this.#banned = true;
	}

	#disconnected(reason: DisconnectReason | undefined): void {
		if (this.#leaving) return;
		const means = this.#banned ? 'banned' : disconnectMeans(reason);
		// While we enter anew, the room closes because we closed it.
		if (means === 'left' && this.#rejoin) return;
		if (means !== 'rejoin') this.#end(means);
		else if (this.link !== 'connecting' && !this.#rejoin) void this.#comeBack();
	}

	async #comeBack(): Promise<void> {
		this.#step('cut');
		for (const identity of [...this.people.keys()]) if (identity !== this.me?.identity) this.#remove(identity);
		this.#rejoin = new Rejoin({
			attempt: () => this.#enterAgain(),
			refused: (reason) => this.#end(reason),
		});
		if (this.room.state !== 'disconnected') await this.room.disconnect();
		const back = await this.#rejoin.run();
		this.#rejoin = null;
		if (!back || this.#leaving) return;
		this.#step('connected');
		await this.media.restore();
		void this.chat.retryAll();
	}

	async #enterAgain(): Promise<void> {
		this.#token = (await api.refreshMediaToken(this.info.name)).token;
		await this.#connect();
		this.#adopt();
	}

	/** Connects, unless the person has left: also when that happens while it connects. */
	async #connect(): Promise<void> {
		const left = () => this.#leaving;
		if (!left()) await this.room.connect(serverUrl(this.info.livekitHost), this.#token);
		if (!left()) return;
		await this.room.disconnect();
		throw new Error('left while connecting');
	}

	#reached(reachable: boolean): void {
		this.#step(reachable ? 'reachable' : 'unreachable');
		if (!reachable || this.room.state !== 'connected' || this.link !== 'signal') return;
		this.#step('reconnected');
		void this.media.settle();
	}

	#end(reason: EndReason): void {
		if (this.#leaving) return;
		this.#leaving = true;
		this.#rejoin?.stop();
		void this.room.disconnect();
		this.onended(reason);
	}

	#step(event: LinkEvent): void {
		this.link = nextLink(this.link, event);
		if (this.link === 'back') setTimeout(() => (this.link = nextLink(this.link, 'settled')), backShownMs);
		if (isBroken(this.link)) this.#lostTimer ??= setTimeout(() => this.#step('gave-up'), lostAfterMs);
		else this.#stopLostTimer();
	}

	#stopLostTimer(): void {
		clearTimeout(this.#lostTimer);
		this.#lostTimer = undefined;
	}

	/** Takes over who is in the room: LiveKit makes new participant objects whenever it connects anew. */
	#adopt(): void {
		const present = new Set<string>();
		for (const participant of [this.room.localParticipant, ...this.room.remoteParticipants.values()]) {
			present.add(participant.identity);
			this.#add(participant);
		}
		for (const identity of [...this.people.keys()]) if (!present.has(identity)) this.#remove(identity);
		this.canPlayAudio = this.room.canPlaybackAudio;
	}

	#add(participant: Participant): void {
		const known = this.people.get(participant.identity);
		if (known?.participant === participant) {
			known.refresh();
			return;
		}
		known?.dispose();
		const state = new ParticipantState(participant, () => this.carried);
		this.people.set(participant.identity, state);
		if (state.local) this.me = state;
	}

	#remove(identity: string): void {
		this.people.get(identity)?.dispose();
		this.people.delete(identity);
	}

	#person(participant: Participant): Person {
		const state = this.people.get(participant.identity);
		return { identity: participant.identity, name: state?.name || participant.name || participant.identity };
	}

	async #publish(topic: string, payload: Uint8Array): Promise<void> {
		if (!this.carried) throw new Error('not connected');
		await this.room.localParticipant.publishData(payload as Uint8Array<ArrayBuffer>, { reliable: true, topic });
	}

	/** A name for this meeting only; the account keeps its own. */
	async #rename(name: string): Promise<void> {
		const me = this.room.localParticipant;
		if (!name || name === me.name) return;
		await me.setName(name).catch(() => {});
		await me.setMetadata(mergeMetadata(me.metadata, { displayName: name })).catch(() => {});
	}
}

/** The signalling address: the one the server named, or the page's own origin. */
export function serverUrl(host: string): string {
	return (host || `${window.location.origin}/livekit`).replace(/^http/, 'ws');
}

/** Milliseconds since a packet of any other participant's media arrived; infinite when none does. */
function quietFor(room: Room): number {
	let last = Number.NEGATIVE_INFINITY;
	for (const participant of room.remoteParticipants.values()) {
		for (const { track } of participant.trackPublications.values()) {
			for (const source of track?.receiver?.getSynchronizationSources() ?? []) last = Math.max(last, source.timestamp);
		}
	}
	return performance.timeOrigin + performance.now() - last;
}

function debugging(): boolean {
	try {
		return localStorage.getItem('bedrud.debug') === '1';
	} catch {
		return false;
	}
}
