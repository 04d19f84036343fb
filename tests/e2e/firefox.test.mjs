// Firefox with Chromium in one room: audio, VP8 and data, in both topologies.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { firefox } from './lib/browser.mjs';
import { fixture } from './lib/fixture.mjs';
import { token } from './lib/token.mjs';

const on = fixture({ browsers: { fox: firefox, chrome: { toneHz: 660 } } });

for (const singlePeerConnection of [true, false]) {
  test(`firefox and chromium talk (${singlePeerConnection ? 'one' : 'two'} peer connections)`, async () => {
    const room = `firefox-${singlePeerConnection}`;
    const options = { room: { singlePeerConnection } };
    const f = await on.join('fox', room, { options, browser: on.fox });
    const c = await on.join('chrome', room, { options, browser: on.chrome });
    await f.call('publishMicrophone'); // its fake microphone hums at 1 kHz
    await f.call('publishCanvas', 640, 360, 'camera');
    await c.call('publishMicrophone');
    await c.call('publishCamera');
    await c.seesVideo('fox', 'camera', { exact: 640 });
    await c.hears('fox', 1000);
    await f.seesVideo('chrome', 'camera', { exact: 1280 });
    // Without a sound card Firefox keeps an AudioContext suspended, so its decoder's own figures must do.
    const quiet = await f.until('audio of chrome', 'audio', ['chrome'], (a) => a?.packets > 0);
    await f.until('sound of chrome', 'audio', ['chrome'], (a) => a.packets > quiet.packets + 50 && a.energy > 0);
    await f.call('send', 'from firefox', { reliable: true });
    await c.until('data from firefox', 'messages', [], (m) => m.some((x) => x.text === 'from firefox'));
    await c.call('send', 'from chromium', { reliable: true });
    await f.until('data from chromium', 'messages', [], (m) => m.some((x) => x.text === 'from chromium'));
    // Tracks that come and go get the sections of those that went.
    await f.call('churn', 12);
    const sections = await f.call('sections');
    assert.ok(Math.max(...sections) <= 12, `sections after 12 more tracks: ${sections}`);
    await f.call('publishCanvas', 320, 240, 'screen_share');
    await c.seesVideo('fox', 'screen_share', { exact: 320 });
    await f.call('setMicrophone', false);
    await c.until('the mute', 'tracks', ['fox'], (t) => t.some((x) => x.source === 'microphone' && x.muted));
    await f.call('disconnect');
    await c.until('firefox to be gone', 'participants', [], (p) => p.length === 0);
    await f.close();
    await c.close();
  });
}

test('firefox publishes by WHIP and plays by WHEP', async () => {
  const room = 'firefox-one-shot';
  const c = await on.join('chrome', room, { browser: on.chrome });
  const studio = await on.open({ browser: on.fox, path: 'one_shot' });
  await studio.call('publish', `${on.server.url}/whip/v1`, await token('fox', room), { microphone: true, rids: ['l', 'h'], width: 640, height: 360 });
  await c.seesVideo('fox', 'camera', { exact: 640 });
  await c.hears('fox', 1000);
  await c.call('publishCanvas', 800, 600, 'camera');
  const player = await on.open({ browser: on.fox, path: 'one_shot' });
  await player.call('play', `${on.server.url}/whep/v1?participant=chrome`, await token('viewer', room));
  const first = await player.until('a picture', 'video', [], (v) => v.width === 800 && v.frames > 0);
  await player.until('a moving picture', 'video', [], (v) => v.frames > first.frames + 10);
  await Promise.all([c.close(), studio.close(), player.close()]);
});
