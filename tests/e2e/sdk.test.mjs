// Two unmodified livekit-client participants in Chromium, in every topology and over every path.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { fixture } from './lib/fixture.mjs';

const modes = [
  { name: 'one peer connection', options: { singlePeerConnection: true }, connections: 1 },
  { name: 'two peer connections', options: { singlePeerConnection: false }, connections: 2 },
];
const paths = [
  { name: 'UDP', udp: true, protocol: 'udp' },
  { name: 'ICE/TCP', udp: false, protocol: 'tcp' },
];

for (const path of paths) {
  describe(`over ${path.name}`, () => {
    const on = fixture({ browsers: { browser: { udp: path.udp, toneHz: 660 } } });

    for (const mode of modes) {
      test(`${mode.name}: media, data, mute, screen share and leave`, async () => {
        const room = `room-${path.protocol}-${mode.connections}`;
        const options = { room: mode.options };
        const alice = await on.join('alice', room, { options });
        await alice.call('publishCamera');
        await alice.call('publishMicrophone');
        const bob = await on.join('bob', room, { options });
        await bob.call('publishTone', 1200);

        const seen = await bob.seesVideo('alice', 'camera', { exact: 1280 });
        assert.equal(seen.height, 720);
        assert.equal(seen.codec, 'video/VP8');
        await bob.hears('alice', 660);
        await alice.hears('bob', 1200);
        assert.deepEqual(new Set(await bob.call('paths')), new Set([path.protocol]));
        assert.equal(await bob.call('connections'), mode.connections);

        await alice.call('send', 'hello bob', { reliable: true, topic: 'chat' });
        await bob.until('a reliable message', 'messages', [], (m) => m.some((x) => x.text === 'hello bob' && x.from === 'alice' && x.topic === 'chat'));
        await bob.call('send', 'hello alice', { reliable: false, destinationIdentities: ['alice'] });
        await alice.until('a lossy message', 'messages', [], (m) => m.some((x) => x.text === 'hello alice' && x.from === 'bob'));

        await alice.call('setMicrophone', false);
        await bob.until('the mute', 'tracks', ['alice'], (t) => t.some((x) => x.source === 'microphone' && x.muted));
        await alice.call('setMicrophone', true);
        await bob.until('the unmute', 'tracks', ['alice'], (t) => t.some((x) => x.source === 'microphone' && !x.muted));
        await bob.hears('alice', 660);

        await bob.call('publishCanvas', 800, 600);
        const screen = await alice.seesVideo('bob', 'screen_share', { exact: 800 });
        assert.equal(screen.height, 600);
        await bob.call('unpublish', 'screen_share');
        await alice.until('the end of the screen share', 'tracks', ['bob'], (t) => !t.some((x) => x.source === 'screen_share'));

        await bob.call('disconnect');
        await alice.until('bob to be gone', 'participants', [], (p) => p.length === 0);
        await alice.call('disconnect');
        await alice.close();
        await bob.close();
      });
    }
  });
}

describe('simulcast', () => {
  const on = fixture();

  for (const mode of modes) {
    test(`${mode.name}: a subscriber chooses the layer`, async () => {
      const room = `layers-${mode.connections}`;
      const options = { room: mode.options };
      const alice = await on.join('alice', room, { options });
      const bob = await on.join('bob', room, { options });
      await alice.call('publishCamera');
      await bob.seesVideo('alice', 'camera', { exact: 1280 });
      await bob.call('setQuality', 'alice', 0);
      await bob.seesVideo('alice', 'camera', { exact: 320 });
      await bob.call('setQuality', 'alice', 2);
      await bob.seesVideo('alice', 'camera', { exact: 1280 });
      await alice.close();
      await bob.close();
    });
  }
});
