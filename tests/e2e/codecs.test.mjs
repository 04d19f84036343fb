// Backup codecs: livekit-client publishes VP9 with VP8 behind it, and somebody cannot decode VP9.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { fixture } from './lib/fixture.mjs';
import { token } from './lib/token.mjs';

const on = fixture({ browsers: { browser: { toneHz: 660 } } });

/** Takes a video codec away from the browser of a page: it neither offers nor accepts it. */
function lack(client, codec) {
  return client.page.evaluate((name) => {
    const strip = (sdp) => sdp.split(/(?=^m=)/m).map((section) => {
      if (!section.startsWith('m=video')) return section;
      const gone = new Set([...section.matchAll(/^a=rtpmap:(\d+) (\S+?)\//gm)].filter((m) => m[2] === name).map((m) => m[1]));
      for (const m of section.matchAll(/^a=fmtp:(\d+) apt=(\d+)/gm)) if (gone.has(m[2])) gone.add(m[1]);
      const lines = section.split('\r\n').filter((l) => !gone.has(l.match(/^a=(?:rtpmap|fmtp|rtcp-fb):(\d+)/)?.[1]));
      lines[0] = lines[0].split(' ').filter((t, i) => i < 3 || !gone.has(t)).join(' ');
      return lines.join('\r\n');
    }).join('');
    const proto = RTCPeerConnection.prototype;
    const { createOffer, setRemoteDescription } = proto;
    proto.createOffer = async function (...args) {
      const offer = await createOffer.apply(this, args);
      return { type: offer.type, sdp: strip(offer.sdp) };
    };
    proto.setRemoteDescription = function (description) {
      const sdp = description.type === 'offer' ? strip(description.sdp) : description.sdp;
      return setRemoteDescription.call(this, { type: description.type, sdp });
    };
  }, codec);
}

for (const [name, singlePeerConnection] of [['one peer connection', true], ['two peer connections', false]]) {
  test(`${name}: who cannot decode VP9 gets VP8, and a small room changes over to it`, async () => {
    const room = `codecs-${singlePeerConnection}`;
    const options = { room: { singlePeerConnection } };
    const [alice, bob, old] = [await on.join('alice', room, { options }), await on.join('bob', room, { options }), await on.open()];
    await lack(old, 'VP9');
    await alice.call('publishCamera', {}, { videoCodec: 'vp9', backupCodec: { codec: 'vp8' } });
    await bob.seesVideo('alice');
    await bob.until('VP9', 'video', ['alice', 'camera'], (v) => v?.codec === 'video/VP9');

    await old.call('connect', on.server.ws, await token('old', room), options);
    const seen = await old.seesVideo('alice');
    assert.equal(seen.codec, 'video/VP8');
    await bob.until('the change to VP8', 'video', ['alice', 'camera'], (v) => v?.codec === 'video/VP8');
    await bob.seesVideo('alice');

    await alice.call('unpublish', 'camera');
    await old.until('the end of the track', 'tracks', ['alice'], (t) => !t.some((x) => x.source === 'camera'));
    for (const client of [alice, bob, old]) {
      await client.call('disconnect');
      await client.close();
    }
  });
}
