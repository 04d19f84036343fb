// WHIP and WHEP with the stacks of the programs people stream with: GStreamer, libdatachannel (OBS Studio) and FFmpeg.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { chromium } from './lib/browser.mjs';
import { FfmpegClient, GstClient, ObsClient } from './lib/python.mjs';
import { SdkClient, servePage } from './lib/sdkpage.mjs';
import { startLivekitWith, configuredKeys } from './lib/server.mjs';
import { token as sign } from './lib/token.mjs';

let server;
let page;
let browser;
before(async () => {
  const turn = 'turn_servers: [{host: turn.example.org, port: 3478, protocol: udp, username: u, credential: c}]';
  [server, page] = await Promise.all([startLivekitWith('', turn), servePage()]);
  browser = await chromium();
});
after(async () => {
  await browser?.close();
  await page?.close();
  await server?.stop();
});

const whip = () => `${server.url}/whip/v1`;
const whep = () => `${server.url}/whep/v1`;
const token = (identity, room) => sign(identity, room, {}, configuredKeys);

async function sdk(identity, room) {
  const client = await SdkClient.open(browser, page.url);
  await client.call('connect', server.ws, await token(identity, room));
  return client;
}

/** A subscriber in a browser decodes what `identity` publishes. */
async function seen(web, identity, { codec, hz }) {
  const video = await web.seesVideo(identity, 'camera', { exact: 640 });
  assert.equal(video.codec, codec);
  await web.hears(identity, hz);
}

const gone = (web) => web.until('the publisher to be gone', 'participants', [], (p) => p.length === 0);

describe('GStreamer', () => {
  for (const { codec, mime, trickle } of [
    { codec: 'vp8', mime: 'video/VP8', trickle: false },
    { codec: 'h264', mime: 'video/H264', trickle: true },
  ]) {
    test(`webrtcbin publishes ${codec} ${trickle ? 'with candidates by PATCH' : 'with candidates in its offer'}`, async () => {
      const room = `gst-${codec}`;
      const web = await sdk('web', room);
      const publisher = new GstClient('publish', whip(), await token('studio', room), { hz: 880, codec, trickle });
      try {
        await publisher.saw('connection', (e) => e.state === 'connected');
        await seen(web, 'studio', { codec: mime, hz: 880 });
        if (trickle) assert.equal((await publisher.saw('trickled')).status, 204);
        publisher.do('delete');
        assert.equal((await publisher.saw('deleted')).status, 200);
        await gone(web);
      } finally {
        await publisher.leave();
        await web.close();
      }
    });
  }

  for (const codec of ['vp8', 'h264']) {
    test(`webrtcbin plays ${codec}`, async () => {
      const room = `gst-play-${codec}`;
      const studio = new GstClient('publish', whip(), await token('studio', room), { hz: 1100, codec });
      const player = new GstClient('play', whep(), await token('viewer', room), { codec });
      try {
        await player.saw('connection', (e) => e.state === 'connected');
        await player.saw('saw', (e) => e.width === 640 && e.frames > 20);
        await player.saw('heard', (e) => Math.abs(e.hz - 1100) < 25 && e.rms > 50);
        player.do('delete');
        assert.equal((await player.saw('deleted')).status, 200);
      } finally {
        await Promise.all([studio.leave(), player.leave()]);
      }
    });
  }
});

describe('OBS Studio', () => {
  test('libdatachannel publishes H.264 and Opus with one offer and ends with DELETE', async () => {
    const room = 'obs';
    const web = await sdk('web', room);
    const obs = new ObsClient(whip(), await token('obs', room), { hz: 880 });
    try {
      const { links } = await obs.saw('opened');
      assert.match(links, /<turn:turn\.example\.org:3478\?transport=udp>; rel="ice-server"; username="u"/);
      await obs.saw('connection', (e) => e.state === 'connected');
      await seen(web, 'obs', { codec: 'video/H264', hz: 880 });
      const late = await sdk('late', room);
      await seen(late, 'obs', { codec: 'video/H264', hz: 880 });
      await late.close();
      await web.until('the late one to be gone', 'participants', [], (p) => p.length === 1);
      obs.do('delete');
      assert.equal((await obs.saw('deleted')).status, 200);
      await gone(web);
    } finally {
      await obs.leave();
      await web.close();
    }
  });

  test('a stream that starts again replaces the one that was left behind', async () => {
    const room = 'obs-again';
    const web = await sdk('web', room);
    const first = new ObsClient(whip(), await token('obs', room), { hz: 1200 });
    let second;
    try {
      await first.saw('connection', (e) => e.state === 'connected');
      await seen(web, 'obs', { codec: 'video/H264', hz: 1200 });
      second = new ObsClient(whip(), await token('obs', room), { hz: 900 });
      await second.saw('connection', (e) => e.state === 'connected');
      await seen(web, 'obs', { codec: 'video/H264', hz: 900 });
      // As OBS stops: first the connection, then the session.
      second.do('close');
      second.do('delete');
      assert.equal((await second.saw('deleted')).status, 200);
      await gone(web);
    } finally {
      await Promise.all([first.leave(), second?.leave()]);
      await web.close();
    }
  });
});

describe('FFmpeg', () => {
  for (const profile of ['main', 'high']) {
    test(`what it encodes in the ${profile} profile is seen`, async () => {
      const room = `ffmpeg-${profile}`;
      const web = await sdk('web', room);
      const publisher = new FfmpegClient(whip(), await token('ffmpeg', room), { hz: 880, profile });
      try {
        await publisher.saw('opened');
        await seen(web, 'ffmpeg', { codec: 'video/H264', hz: 880 });
      } finally {
        await publisher.leave();
        await web.close();
      }
    });
  }

  for (const part of ['passive', 'active']) {
    test(`its muxer publishes as the ${part} part of DTLS`, async () => {
      const room = `ffmpeg-${part}`;
      const web = await sdk('web', room);
      const start = async () => new FfmpegClient(whip(), await token('ffmpeg', room), { hz: 880, part });
      let publisher = await start();
      try {
        // As DTLS client, FFmpeg's handshake stalls now and then: whoever streams with it starts it again.
        const starts = part === 'active' ? 5 : 1;
        for (let left = starts - 1; left > 0 && !(await publisher.saw('opened', undefined, { timeout: 8000 }).catch(() => false)); left--) {
          publisher.child.kill('SIGKILL');
          publisher = await start();
        }
        await publisher.saw('opened');
        await seen(web, 'ffmpeg', { codec: 'video/H264', hz: 880 });
        publisher.do('delete');
        await gone(web);
      } finally {
        await publisher.leave();
        await web.close();
      }
    });
  }
});
