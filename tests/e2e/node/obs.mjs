// A WHIP publisher on libdatachannel, in the way of OBS Studio's WHIP output: the same stack, packetizers, order of steps
// and requests. A process of its own, because the library's threads do not end with the connections.
//
//     obs.mjs ADDRESS TOKEN HZ
import readline from 'node:readline';
import rtc from 'node-datachannel';
import { encodedMedia } from '../lib/python.mjs';

const emit = (event, fields) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

const VIDEO = { ssrc: 4242_0002, type: 96, rate: 90_000 };
const AUDIO = { ssrc: 4242_0001, type: 111, rate: 48_000 };
const FRAGMENT = 1200;
const agent = 'Mozilla/5.0 (OBS-Studio/31.0.0; Linux x86_64; en-US)';

class Obs {
  /** One offer at once, whatever has been gathered by then; no PATCH follows. */
  static async publish(address, token, media) {
    const client = new Obs(token, media);
    client.pc.setLocalDescription();
    const response = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}`, 'user-agent': agent },
      body: client.pc.localDescription().sdp,
    });
    const answer = await response.text();
    if (response.status !== 201) throw new Error(`${response.status}: ${answer}`);
    emit('opened', { links: response.headers.get('link') });
    client.resource = new URL(response.headers.get('location'), address);
    client.pc.setRemoteDescription(answer.slice(answer.indexOf('v=0')), 'answer');
    return client;
  }

  constructor(token, media) {
    this.token = token;
    this.pc = new rtc.PeerConnection('obs', { iceServers: [], bindAddress: '127.0.0.1' });
    this.pc.onStateChange((state) => emit('connection', { state }));

    const audio = new rtc.Audio('0', 'SendOnly');
    audio.addOpusCodec(AUDIO.type);
    audio.addSSRC(AUDIO.ssrc, 'cname', 'stream', 'stream-audio');
    const video = new rtc.Video('1', 'SendOnly');
    video.addH264Codec(VIDEO.type);
    video.addSSRC(VIDEO.ssrc, 'cname', 'stream', 'stream-video');
    const config = (k) => new rtc.RtpPacketizationConfig(k.ssrc, 'cname', k.type, k.rate);
    const [audioConfig, videoConfig] = [config(AUDIO), config(VIDEO)];
    this.tracks = {
      audio: this.track(audio, audioConfig, new rtc.RtpPacketizer(audioConfig)),
      video: this.track(video, videoConfig, new rtc.H264RtpPacketizer('StartSequence', videoConfig, FRAGMENT)),
    };
    this.send(media);
  }

  track(description, config, packetizer) {
    packetizer.addToChain(new rtc.RtcpSrReporter(config));
    packetizer.addToChain(new rtc.RtcpNackResponder());
    const track = this.pc.addTrack(description);
    track.setMediaHandler(packetizer);
    return { track, config, packetizer, first: config.timestamp };
  }

  /** Sends the media over and over at its own pace. */
  send({ units, ms }) {
    const began = performance.now();
    let [n, loops] = [0, 0];
    this.timer = setInterval(() => {
      for (;;) {
        const unit = units[n];
        const at = unit.ms + loops * ms;
        if (at > performance.now() - began) return;
        const { track, config, first } = this.tracks[unit.kind];
        if (track.isOpen()) {
          config.timestamp = (first + Math.round((at * config.clockRate) / 1000)) >>> 0;
          track.sendMessageBinary(unit.data);
        }
        n = (n + 1) % units.length;
        if (n === 0) loops += 1;
      }
    }, 5);
  }

  /** DELETE, as when streaming stops; returns its status. */
  async delete() {
    const headers = { authorization: `Bearer ${this.token}`, 'user-agent': agent };
    return (await fetch(this.resource, { method: 'DELETE', headers })).status;
  }

  close() {
    clearInterval(this.timer);
    this.pc.close();
  }
}

const [, , address, token, hz] = process.argv;
const obs = await Obs.publish(address, token, await encodedMedia(Number(hz)));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line).do;
  if (command === 'close') obs.close();
  if (command === 'delete') emit('deleted', { status: await obs.delete() });
  if (command === 'leave') break;
}
// The library crashes now and then while it is unloaded.
process.kill(process.pid, 'SIGKILL');
