/**
 * A stand-in for livekit-client, for work on the pages without a media server (`npm run dev:mock`). People are made
 * up and their pictures are drawn on canvases. How many there are comes from `?people=` in the address, a shared
 * screen from `?screen=1`. `window.__mock` lets tests play connection events.
 */
// biome-ignore lint/style/useNodejsImportProtocol: the package of this name that livekit-client brings, not Node's module.
import EventEmitter from 'events';

// The enums are the library's own, so that no value can differ.
export {
	ConnectionQuality,
	DefaultReconnectPolicy,
	DisconnectReason,
	ParticipantEvent,
	RoomEvent,
	ScreenSharePresets,
	Track,
} from 'livekit-client-real';

type Source = 'camera' | 'microphone' | 'screen_share';

class FakeTrack {
	constructor(readonly mediaStreamTrack: MediaStreamTrack) {}
	attach(element: HTMLMediaElement): HTMLMediaElement {
		element.srcObject = new MediaStream([this.mediaStreamTrack]);
		return element;
	}
	detach(element: HTMLMediaElement): void {
		element.srcObject = null;
	}
}

class FakePublication {
	isMuted = false;
	dimensions = { width: 1280, height: 720 };
	constructor(
		readonly trackSid: string,
		readonly source: Source,
		readonly track: FakeTrack | undefined,
	) {}
	get videoTrack() {
		return this.source === 'microphone' ? undefined : this.track;
	}
}

class FakeParticipant extends EventEmitter {
	isSpeaking = false;
	connectionQuality = 'excellent';
	metadata = '';
	permissions = { canPublishData: true };
	joinedAt = new Date();
	trackPublications = new Map<string, FakePublication>();
	audioTrackPublications = new Map<string, FakePublication>();
	constructor(
		readonly identity: string,
		public name: string,
		readonly isLocal = false,
		readonly room?: Room,
	) {
		super();
	}
	getTrackPublication(source: Source) {
		return [...this.trackPublications.values()].find((p) => p.source === source);
	}
	get isScreenShareEnabled() {
		return !!this.getTrackPublication('screen_share');
	}
	publish(source: Source, track?: FakeTrack, muted = false): void {
		const publication = new FakePublication(`${this.identity}-${source}`, source, track);
		publication.isMuted = muted;
		this.trackPublications.set(publication.trackSid, publication);
		this.emit('trackSubscribed');
	}
	mute(source: Source, muted: boolean): void {
		const publication = this.getTrackPublication(source);
		if (publication) publication.isMuted = muted;
		this.emit(muted ? 'trackMuted' : 'trackUnmuted');
	}
	speak(on: boolean): void {
		this.isSpeaking = on;
		this.emit('isSpeakingChanged', on);
	}
	async setMicrophoneEnabled(on: boolean) {
		if (this.getTrackPublication('microphone')) this.mute('microphone', !on);
		else if (on) this.publish('microphone');
	}
	async setCameraEnabled(on: boolean) {
		if (this.getTrackPublication('camera')) this.mute('camera', !on);
		else if (on) this.publish('camera', drawn(this.name, 210));
	}
	async setScreenShareEnabled(on: boolean) {
		if (on) this.publish('screen_share', slides());
		else {
			this.trackPublications.delete(`${this.identity}-screen_share`);
			this.emit('localTrackUnpublished', { source: 'screen_share' });
		}
	}
	async setName(name: string) {
		this.name = name;
		this.emit('participantNameChanged', name);
	}
	async setMetadata(metadata: string) {
		this.metadata = metadata;
		this.emit('participantMetadataChanged', '');
	}
	setVolume(): void {}
	async publishData(): Promise<void> {
		await new Promise((resolve) => setTimeout(resolve, 60));
	}
}

const names = [
	'Grace Hopper',
	'Omar Khayyam',
	'Katherine Johnson',
	'Shirin Ebadi',
	'Alan Turing',
	'Hedy Lamarr',
	'Maryam Mirzakhani',
	'Claude Shannon',
	'Radia Perlman',
	'Tim Berners-Lee',
	'Barbara Liskov',
	'Edsger Dijkstra',
];

export class Room extends EventEmitter {
	state = 'disconnected';
	canPlaybackAudio = true;
	localParticipant = new FakeParticipant('me', 'Me', true, this);
	remoteParticipants = new Map<string, FakeParticipant>();

	async connect(_url: string, token: string): Promise<void> {
		const claims = JSON.parse(atob((token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/')));
		this.localParticipant = new FakeParticipant(claims.sub || 'me', claims.name || 'Me', true, this);
		await new Promise((resolve) => setTimeout(resolve, 300));
		this.state = 'connected';
		const query = new URLSearchParams(location.search);
		const count = Number(query.get('people') ?? 1);
		for (let i = 0; i < count; i++) this.#arrive(i);
		if (query.get('screen')) this.remoteParticipants.get('p-0')?.publish('screen_share', slides());
		(window as unknown as { __mock: Room }).__mock = this;
	}

	#arrive(i: number): void {
		const person = new FakeParticipant(i % 4 === 3 ? `guest-${i}` : `p-${i}`, names[i % names.length] ?? `Guest ${i}`);
		this.remoteParticipants.set(person.identity, person);
		person.publish('microphone', undefined, i % 3 === 1);
		if (i % 3 !== 2) person.publish('camera', drawn(person.name, i * 57));
		if (i === 0) person.speak(true);
		if (i === 1) person.connectionQuality = 'poor';
		this.emit('participantConnected', person);
	}

	say(identity: string, message: string): void {
		const person = this.remoteParticipants.get(identity);
		const packet = {
			type: 'chat',
			id: crypto.randomUUID(),
			timestamp: Date.now(),
			senderName: '',
			senderIdentity: '',
			message,
			attachments: [],
		};
		this.emit('dataReceived', new TextEncoder().encode(JSON.stringify(packet)), person, 0, 'chat');
	}

	registerTextStreamHandler(): void {}
	async startAudio() {}
	async switchActiveDevice() {
		return true;
	}
	async disconnect(): Promise<void> {
		this.state = 'disconnected';
		this.emit('disconnected', 1);
	}
}

/** A moving portrait. */
function drawn(name: string, hue: number): FakeTrack {
	return canvasTrack(640, 360, (c, time) => {
		const g = c.createLinearGradient(0, 0, 640, 360);
		g.addColorStop(0, `hsl(${hue} 35% 62%)`);
		g.addColorStop(1, `hsl(${hue + 40} 40% 34%)`);
		c.fillStyle = g;
		c.fillRect(0, 0, 640, 360);
		c.fillStyle = `hsl(${hue + 20} 25% 78%)`;
		const sway = Math.sin(time / 900 + name.length) * 8;
		c.beginPath();
		c.arc(320 + sway, 160, 66, 0, 7);
		c.fill();
		c.beginPath();
		c.ellipse(320 + sway * 0.6, 360, 150, 120, 0, 0, 7);
		c.fill();
	});
}

function slides(): FakeTrack {
	return canvasTrack(1280, 720, (c, time) => {
		c.fillStyle = '#fff';
		c.fillRect(0, 0, 1280, 720);
		c.fillStyle = '#1f2937';
		c.font = '600 52px sans-serif';
		c.fillText('Quarterly figures', 90, 140);
		for (let i = 0; i < 8; i++) {
			c.fillStyle = i === 5 ? '#e11d48' : '#cbd5e1';
			const height = 120 + 240 * Math.abs(Math.sin(i * 1.7 + time / 6000));
			c.fillRect(100 + i * 136, 640 - height, 92, height);
		}
	});
}

function canvasTrack(
	width: number,
	height: number,
	draw: (c: CanvasRenderingContext2D, time: number) => void,
): FakeTrack {
	const canvas = document.createElement('canvas');
	canvas.width = width;
	canvas.height = height;
	const context = canvas.getContext('2d');
	const paint = () => context && draw(context, performance.now());
	paint();
	setInterval(paint, 100);
	return new FakeTrack(canvas.captureStream(10).getVideoTracks()[0] as MediaStreamTrack);
}
