// A participant on the unmodified Node SDK (native core, no browser), in this process.
import { AudioFrame, AudioSource, AudioStream, LocalAudioTrack, LocalVideoTrack, Room, RoomEvent, TrackKind, TrackPublishOptions, TrackSource, VideoBufferType, VideoFrame, VideoSource, VideoStream } from '@livekit/rtc-node';
import { setTimeout as sleep } from 'node:timers/promises';

const RATE = 48_000;

export class NodeClient {
  /** Joins and records what is heard of the room. */
  static async join(url, token, options = {}) {
    const client = new NodeClient();
    await client.room.connect(url, token, { autoSubscribe: true, dynacast: false, ...options });
    return client;
  }

  constructor() {
    this.room = new Room();
    this.events = [];
    this.heard = new Map();
    /** Blocks of loud audio, by identity. */
    this.loud = new Map();
    this.frames = new Map();
    this.pumps = [];
    this.stopped = false;
    for (const name of Object.values(RoomEvent)) {
      this.room.on(name, (...args) => this.events.push({ name, args }));
    }
    this.room.on(RoomEvent.TrackSubscribed, (track, _publication, participant) => {
      this.pumps.push(track.kind === TrackKind.KIND_AUDIO ? this.listen(track, participant) : this.watch(track, participant));
    });
  }

  async listen(track, participant) {
    for await (const frame of new AudioStream(track, RATE, 1)) {
      // A tone crosses zero twice a period; silence does not count.
      let crossings = 0;
      let energy = 0;
      for (let i = 1; i < frame.data.length; i++) {
        energy += frame.data[i] ** 2;
        if (frame.data[i - 1] < 0 !== frame.data[i] < 0) crossings += 1;
      }
      if (energy / frame.data.length < 500 ** 2) continue;
      this.loud.set(participant.identity, (this.loud.get(participant.identity) ?? 0) + 1);
      const seen = this.heard.get(participant.identity) ?? [];
      seen.push((crossings / 2) * (RATE / frame.data.length));
      this.heard.set(participant.identity, seen.slice(-100));
    }
  }

  async watch(track, participant) {
    for await (const { frame } of new VideoStream(track)) {
      const { n = 0 } = this.frames.get(participant.identity) ?? {};
      this.frames.set(participant.identity, { n: n + 1, width: frame.width, height: frame.height });
    }
  }

  /** Mean frequency of the last second of loud audio of `identity`. */
  frequency(identity) {
    const seen = this.heard.get(identity) ?? [];
    return seen.length < 50 ? null : seen.reduce((a, b) => a + b, 0) / seen.length;
  }

  async publishTone(hz) {
    const source = new AudioSource(RATE, 1);
    const track = LocalAudioTrack.createAudioTrack('tone', source);
    const options = new TrackPublishOptions();
    options.source = TrackSource.SOURCE_MICROPHONE;
    const publication = await this.room.localParticipant.publishTrack(track, options);
    const pump = async () => {
      for (let at = 0; !this.stopped; at += 480) {
        const data = Int16Array.from({ length: 480 }, (_, i) => Math.sin((2 * Math.PI * hz * (at + i)) / RATE) * 16_000);
        await source.captureFrame(new AudioFrame(data, RATE, 1, 480));
      }
    };
    this.pumps.push(pump());
    return publication;
  }

  async publishPicture(width, height) {
    const source = new VideoSource(width, height);
    const track = LocalVideoTrack.createVideoTrack('picture', source);
    const options = new TrackPublishOptions();
    options.source = TrackSource.SOURCE_CAMERA;
    options.simulcast = false;
    const publication = await this.room.localParticipant.publishTrack(track, options);
    const pump = async () => {
      for (let n = 0; !this.stopped; n++) {
        const data = new Uint8Array((width * height * 3) / 2).fill((n * 5) % 200);
        source.captureFrame(new VideoFrame(data, width, height, VideoBufferType.I420));
        await sleep(66);
      }
    };
    this.pumps.push(pump());
    return publication;
  }

  async leave() {
    this.stopped = true;
    await this.room.disconnect();
    await Promise.race([Promise.allSettled(this.pumps), sleep(2000)]);
  }
}
