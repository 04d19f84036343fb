// VP9 and AV1 as livekit-client publishes them by default: all spatial layers in one stream.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { fixture } from './lib/fixture.mjs';

const on = fixture();

const LOW = 0;
const MEDIUM = 1;
const HIGH = 2;
const width = { [LOW]: 320, [MEDIUM]: 640, [HIGH]: 1280 };

for (const codec of ['vp9', 'av1']) {
  describe(codec, () => {
    for (const singlePeerConnection of [true, false]) {
      test(`${singlePeerConnection ? 'one peer connection' : 'two peer connections'}: every subscriber gets the layer it asks for`, async () => {
        const room = `svc-${codec}-${singlePeerConnection}`;
        const options = { room: { singlePeerConnection } };
        const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => on.join(name, room, { options })));
        await alice.call('publishCamera', {}, { videoCodec: codec, backupCodec: false });
        const wide = { exact: width[HIGH] };
        const seen = await bob.seesVideo('alice', 'camera', wide);
        assert.equal(seen.codec, `video/${codec.toUpperCase()}`);
        await carol.seesVideo('alice', 'camera', wide);
        for (const quality of [LOW, MEDIUM, HIGH, LOW, HIGH]) {
          await bob.call('setQuality', 'alice', quality);
          await bob.seesVideo('alice', 'camera', { exact: width[quality] });
        }
        // What one subscriber chose is nothing to the other.
        const other = await carol.seesVideo('alice', 'camera', wide);
        assert.equal(other.height, 720);
        await Promise.all([alice, bob, carol].map((c) => c.close()));
      });
    }
  });
}
