// WHIP and WHEP with independent stacks: aiortc, and a browser page without any SDK.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { chromium } from './lib/browser.mjs';
import { fixture } from './lib/fixture.mjs';
import { AiortcClient, PythonClient } from './lib/python.mjs';
import { token } from './lib/token.mjs';
import { RoomServiceClient } from 'livekit-server-sdk';

const on = fixture({ browsers: { browser: { toneHz: 660 } } });

// LiveKit's own server has no WHEP.
const ours = !process.env.E2E_LIVEKIT_URL;
const whip = () => `${on.server.url}/whip/v1`;
const whep = (query = '') => `${on.server.url}/whep/v1${query}`;
const plainPage = (browser) => on.open({ browser, path: 'one_shot' });

/** An SDK participant in a browser. */
const sdk = (identity, room) => on.join(identity, room);

/** What a page without SDK plays: a moving picture of this width, and a tone. */
async function plays(player, { width, hz, timeout }) {
  const first = await player.until(`a picture ${width} wide`, 'video', [], (v) => v.frames > 0 && v.width === width, { timeout });
  await player.until('a moving picture', 'video', [], (v) => v.frames > first.frames + 10, { timeout });
  await player.until(`a tone of ${hz} Hz`, 'peak', [], (p) => p && p.level > -70 && Math.abs(p.hz - hz) <= 25, { timeout });
}

const heard = (hz) => (e) => Math.abs(e.hz - hz) < 25 && e.rms > 50;

/** A reverse proxy that strips `/media` and does not say so, and its address. */
async function strippingProxy(target) {
  const proxy = http.createServer((request, response) => {
    const path = request.url.replace(/^\/media/, '');
    const { method, headers } = request;
    const forward = http.request(new URL(path, target), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    forward.on('error', () => response.destroy());
    request.pipe(forward);
  });
  await new Promise((r) => proxy.listen(0, '127.0.0.1', r));
  return { url: `http://127.0.0.1:${proxy.address().port}/media`, close: () => new Promise((r) => proxy.close(r).closeAllConnections()) };
}

describe('WHIP', () => {
  test('a session is found and ended behind a proxy that strips a prefix', { skip: !ours }, async () => {
    const room = 'whip-prefix';
    const proxy = await strippingProxy(on.server.url);
    const publisher = new AiortcClient('publish', `${proxy.url}/whip/v1/`, await token('studio', room), { hz: 880 });
    try {
      const { resource } = await publisher.saw('opened');
      assert.match(resource, /\/media\/whip\/v1\/PA_/);
      await publisher.saw('connection', (e) => e.state === 'connected');
      publisher.do('delete');
      await publisher.saw('deleted', (e) => e.status === 200);
    } finally {
      await publisher.leave();
      await proxy.close();
    }
  });

  test('aiortc publishes, livekit-client sees and hears it, DELETE ends it', async () => {
    const room = 'whip-aiortc';
    const web = await sdk('web', room);
    const publisher = new AiortcClient('publish', whip(), await token('studio', room), { hz: 880 });
    try {
      const { resource } = await publisher.saw('opened');
      assert.match(resource, /\/whip\/v1\/PA_/);
      await publisher.saw('connection', (e) => e.state === 'connected');
      await web.seesVideo('studio', 'camera', { exact: 640 });
      await web.hears('studio', 880);
      const tracks = await web.call('tracks', 'studio');
      assert.deepEqual(tracks.map((t) => t.source).sort(), ['camera', 'microphone']);
      publisher.do('trickle');
      assert.equal((await publisher.saw('trickled')).status, 204);
      publisher.do('delete');
      assert.equal((await publisher.saw('deleted')).status, 200);
      await web.until('the publisher to be gone', 'participants', [], (p) => p.length === 0);
    } finally {
      await publisher.leave();
      await web.close();
    }
  });

  test('a page publishes simulcast layers, trickles, restarts ICE, and a subscriber chooses the layer', async () => {
    const room = 'whip-page';
    const web = await sdk('web', room);
    const publisher = await plainPage();
    const opened = await publisher.call('publish', whip(), await token('page', room), { hz: 1200, rids: ['q', 'h', 'f'] });
    assert.match(opened.answer, /a=simulcast:recv q;h;f/);
    const layers = await publisher.until('three layers', 'layers', [], (l) => l.filter((x) => x.frames > 0).length === 3, { timeout: 45_000 });
    await web.seesVideo('page', 'camera', { exact: 1280 });
    await web.hears('page', 1200);
    assert.deepEqual(layers.map((l) => l.rid).sort(), ['f', 'h', 'q']);
    await web.call('setQuality', 'page', 0);
    await web.seesVideo('page', 'camera', { exact: 320 });
    await web.call('setQuality', 'page', 2);
    await web.seesVideo('page', 'camera', { exact: 1280 });

    assert.equal(await publisher.call('trickle'), 204);
    const restarted = await publisher.call('restart');
    assert.deepEqual(restarted, { status: 200, changed: true });
    const { frames } = await web.call('video', 'page', 'camera');
    await web.until('video after the restart', 'video', ['page', 'camera'], (v) => v.frames > frames + 15);
    await publisher.until('the connection to hold', 'state', [], (s) => s === 'connected');

    assert.equal(await publisher.call('end'), 200);
    await web.until('the publisher to be gone', 'participants', [], (p) => p.length === 0);
    await publisher.until('its connection to close', 'state', [], (s) => s !== 'connected');
    await publisher.close();
    await web.close();
  });

  test('a data channel of the page is user packets for SDKs, and theirs are bytes for it', async () => {
    const room = 'whip-data';
    const web = await sdk('web', room);
    const publisher = await plainPage();
    await publisher.call('publish', whip(), await token('page', room), { channel: 'chat' });
    await web.hears('page', 1000);
    await publisher.until('the channel to open', 'chat', [], (c) => c.open);
    await publisher.call('say', 'hello from the page');
    await web.until('the words', 'messages', [], (d) => d.some((x) => x.text === 'hello from the page' && x.from === 'page'));
    await web.call('send', 'hello from the SDK', { reliable: true });
    await publisher.until('the answer', 'chat', [], (c) => c.heard.includes('hello from the SDK'));
    await publisher.close();
    await web.close();
  });

  test('a publisher that vanishes is removed', async () => {
    const room = 'whip-vanished';
    const web = await sdk('web', room);
    const publisher = new AiortcClient('publish', whip(), await token('studio', room), { hz: 880 });
    try {
      await publisher.saw('connection', (e) => e.state === 'connected');
      await web.seesVideo('studio', 'camera', { exact: 640 });
      publisher.child.kill('SIGKILL');
      await web.until('the publisher to be gone', 'participants', [], (p) => p.length === 0, { timeout: 60_000 });
    } finally {
      await web.close();
    }
  });

  test('the server mutes and removes a WHIP publisher', async () => {
    const room = 'whip-moderated';
    const api = new RoomServiceClient(on.server.url, 'devkey', 'secret');
    const web = await sdk('web', room);
    const publisher = await plainPage();
    await publisher.call('publish', whip(), await token('page', room), { hz: 1200 });
    await web.seesVideo('page', 'camera', { exact: 1280 });
    const [{ sid }] = (await web.call('tracks', 'page')).filter((t) => t.source === 'microphone');
    await api.mutePublishedTrack(room, 'page', sid, true);
    await web.until('the mute', 'tracks', ['page'], (t) => t.some((x) => x.sid === sid && x.muted));
    const info = await api.getParticipant(room, 'page');
    assert.equal(info.tracks.length, 2);
    await api.removeParticipant(room, 'page');
    await web.until('the publisher to be gone', 'participants', [], (p) => p.length === 0);
    await publisher.until('its connection to close', 'state', [], (s) => s !== 'connected');
    await publisher.close();
    await web.close();
  });
});

describe('WHEP', { skip: !ours && 'not part of the other server' }, () => {
  test('a page and aiortc play what the Python SDK publishes', async () => {
    const room = 'whep-python';
    const py = new PythonClient(on.server.ws, await token('py', room), { hz: 880 });
    const player = await plainPage();
    let aiortc;
    try {
      await py.saw('published');
      await player.call('play', whep(), await token('page', room));
      await plays(player, { width: 640, hz: 880 });
      aiortc = new AiortcClient('play', whep(), await token('aiortc', room));
      await aiortc.saw('saw', (e) => e.width === 640 && e.frames > 20);
      await aiortc.saw('heard', heard(880));
      assert.equal(await player.call('end'), 200);
      await player.until('the player to stop', 'state', [], (s) => s !== 'connected');
      aiortc.do('delete');
      assert.equal((await aiortc.saw('deleted')).status, 200);
    } finally {
      await Promise.all([py.leave(), aiortc?.leave()]);
      await player.close();
    }
  });

  test('an empty room fills, and the next publisher takes over on the same stream', async () => {
    const room = 'whep-handover';
    const player = await plainPage();
    await player.call('play', whep(), await token('viewer', room, { hidden: true }));
    await player.until('a connection', 'state', [], (s) => s === 'connected');
    const alice = await sdk('alice', room);
    await alice.call('publishCanvas', 640, 360, 'camera');
    await alice.call('publishTone', 880);
    await plays(player, { width: 640, hz: 880 });
    const first = await player.call('video');
    const bob = await sdk('bob', room);
    await bob.call('publishCanvas', 800, 600, 'camera');
    await bob.call('publishTone', 1500);
    assert.deepEqual(await bob.call('participants'), ['alice'], 'the hidden viewer is not seen');
    await alice.call('disconnect');
    await plays(player, { width: 800, hz: 1500 });
    assert.equal((await player.call('video')).ssrc, first.ssrc);
    await bob.call('disconnect');
    await player.until('a small black picture instead of the last one of bob', 'video', [], (v) => v.width === 16);
    await Promise.all([alice.close(), bob.close(), player.close()]);
  });

  test('both work over ICE/TCP where UDP is blocked', async () => {
    const room = 'one-shot-tcp';
    const walled = await chromium({ udp: false });
    try {
      const [studio, player] = await Promise.all([plainPage(walled), plainPage(walled)]);
      await studio.call('publish', whip(), await token('studio', room), { hz: 1100, width: 640, height: 360 });
      await player.call('play', whep(), await token('viewer', room));
      await plays(player, { width: 640, hz: 1100 });
      assert.deepEqual([await studio.call('path'), await player.call('path')], ['tcp', 'tcp']);
    } finally {
      await walled.close();
    }
  });

  test('a chosen participant is played, from WHIP to WHEP', async () => {
    const room = 'whep-chosen';
    const studio = await plainPage();
    await studio.call('publish', whip(), await token('studio', room), { hz: 1100, width: 960, height: 540 });
    const alice = await sdk('alice', room);
    await alice.call('publishCanvas', 640, 360, 'camera');
    await alice.call('publishTone', 880);
    const player = await plainPage();
    await player.call('play', whep('?participant=studio'), await token('viewer', room));
    await plays(player, { width: 960, hz: 1100 });
    assert.equal(await player.call('trickle'), 204);
    assert.deepEqual(await player.call('restart'), { status: 200, changed: true });
    await plays(player, { width: 960, hz: 1100 });
    await Promise.all([alice.close(), studio.close(), player.close()]);
  });
});
