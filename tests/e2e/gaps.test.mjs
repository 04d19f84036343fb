// How much sound a disturbed call loses, in milliseconds of the sound itself: each side sends a tone that tells the time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cable } from './lib/cable.mjs';
import { fixture } from './lib/fixture.mjs';
import { ladderCall, loses } from './lib/ladder.mjs';

const on = fixture();
const SECOND = 1000;

const disturbances = [
  ['the signal socket drops', (c) => c.call('simulate', 'signal-reconnect'), 'reconnected'],
  ['the signal socket is cut', (c, line) => line.pull(), 'reconnected'],
  ['the signal socket drops twice', (c) => c.call('simulate', 'disconnect-signal-on-resume'), 'reconnected'],
  ['ICE restarts', (c) => c.call('restartIce')],
];

for (const singlePeerConnection of [true, false]) {
  const connections = singlePeerConnection ? 'one peer connection' : 'two peer connections';
  const call = (room, how) => ladderCall(on, `${room}-${singlePeerConnection}`, { room: { singlePeerConnection } }, how);

  test(`${connections}: a call that resumes keeps its tracks and loses less than a second of sound`, async (t) => {
    const line = await cable(on.server);
    const pair = await call('gap', { ws: line.ws });
    const { alice, bob } = pair;
    const tracks = async () => [await alice.call('tracks', 'bob'), await bob.call('tracks', 'alice'), await bob.call('sid')];
    const before = await tracks();
    for (const [name, disturb, event] of disturbances) {
      const lost = await loses(pair, (c) => disturb(c, line), event);
      t.diagnostic(`${name}: ${JSON.stringify(lost)}`);
      assert.ok(lost.bob.worstMs < SECOND, `${name}: bob missed ${lost.bob.worstMs} ms of alice`);
      assert.ok(lost.alice.worstMs < SECOND, `${name}: alice missed ${lost.alice.worstMs} ms of bob`);
      assert.deepEqual(await tracks(), before, name);
    }
    await pair.close();
    await line.close();
  });

  test(`${connections}: a reconnect that the server asks for costs little more`, async (t) => {
    const pair = await call('gap-full');
    const lost = await loses(pair, (c) => c.call('simulate', 'leave-full-reconnect'), 'reconnected');
    t.diagnostic(JSON.stringify(lost));
    assert.ok(lost.bob.worstMs < 3 * SECOND, `bob missed ${lost.bob.worstMs} ms of alice`);
    assert.ok(lost.alice.worstMs < 3 * SECOND, `alice missed ${lost.alice.worstMs} ms of bob`);
    await pair.close();
  });

  test(`${connections}: sound that is missing is noticed`, async () => {
    const { alice, bob, close } = await call('gap-proof');
    await bob.call('resetLadder');
    // The sender withholds it for a while; nothing else is different.
    await alice.call('setMicrophone', false);
    await bob.until('the mute', 'tracks', ['alice'], (t) => t.some((x) => x.muted));
    await sleep(1500);
    await alice.call('setMicrophone', true);
    await bob.until('the loss to be counted', 'ladder', [], (l) => l.worstMs >= SECOND);
    await close();
  });
}
