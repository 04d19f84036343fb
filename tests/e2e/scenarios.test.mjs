// Every case of SimulateScenario with the unmodified livekit-client: what a client lives through, and how it recovers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture } from './lib/fixture.mjs';

const on = fixture({ browsers: { browser: { toneHz: 660 } } });

const count = (events, what) => events.filter((e) => e.endsWith(` ${what}`)).length;

/** Bob goes through it and is back with everything he had. */
async function survives(scenario, room, options) {
  const { alice, bob, close } = await on.call(room, options);
  const sid = await bob.call('sid');
  await bob.call('simulate', scenario);
  await bob.until('the reconnect', 'events', [], (e) => count(e, 'reconnected') > 0, { timeout: 40_000 });
  await bob.until('the connection', 'isConnected', [], (c) => c);
  await bob.seesVideo('alice');
  await alice.hears('bob', 1200);
  const same = (await bob.call('sid')) === sid;
  const paths = await bob.call('paths');
  await close();
  return { same, paths };
}

for (const singlePeerConnection of [true, false]) {
  const name = singlePeerConnection ? 'one' : 'two';
  const options = { room: { singlePeerConnection } };

  for (const scenario of ['node-failure', 'migration', 'leave-full-reconnect', 'resume-reconnect']) {
    test(`${scenario}: a new session takes over (${name} peer connections)`, async () => {
      const { same } = await survives(scenario, `${scenario}-${name}`, options);
      assert.equal(same, false);
    });
  }

  test(`disconnect-signal-on-resume: the session outlives a second loss (${name} peer connections)`, async () => {
    await survives('disconnect-signal-on-resume', `on-resume-${name}`, options);
  });

  test(`disconnect-signal-on-resume-no-messages: resumes that fail lead to a new session (${name} peer connections)`, async () => {
    await survives('disconnect-signal-on-resume-no-messages', `no-messages-${name}`, options);
  });

  test(`force-tcp: media moves to ICE/TCP (${name} peer connections)`, async () => {
    const { paths } = await survives('force-tcp', `force-tcp-${name}`, options);
    assert.deepEqual(new Set(paths), new Set(['tcp']));
  });
}

test('force-tls: without TURN the client comes back on what there is', async () => {
  const { paths } = await survives('force-tls', 'force-tls');
  assert.deepEqual(new Set(paths), new Set(['udp']));
});

test('server-leave: the client is sent away and stays away', async () => {
  const { alice, bob, close } = await on.call('server-leave');
  await bob.call('simulate', 'server-leave');
  // DisconnectReason.SERVER_SHUTDOWN
  await bob.until('the goodbye', 'events', [], (e) => e.some((x) => x.endsWith('disconnected:3')));
  await alice.until('bob to be gone', 'participants', [], (p) => p.length === 0);
  assert.equal(await bob.call('isConnected'), false);
  await close();
});

test('speaker: everybody is told of a speaker who is silent, for a while', async () => {
  const alice = await on.join('alice', 'speaker');
  const bob = await on.join('bob', 'speaker');
  // Only those who are subscribed to something of a speaker are told.
  await bob.call('publishCanvas', 320, 180, 'camera');
  await alice.seesVideo('bob');
  await bob.call('simulate', 'speaker');
  await alice.until('bob to speak', 'speakers', [], (s) => s.includes('bob'));
  await alice.until('bob to be silent', 'speakers', [], (s) => s.length === 0);
  await Promise.all([alice.close(), bob.close()]);
});

test('subscriber-bandwidth: the subscriber gets the layer that fits, then the best again', async () => {
  const alice = await on.join('alice', 'bandwidth');
  const bob = await on.join('bob', 'bandwidth');
  await alice.call('publishCamera');
  await bob.seesVideo('alice', 'camera', { exact: 1280 });
  await bob.call('simulate', 'subscriber-bandwidth', 250_000);
  await bob.until('a smaller picture', 'video', ['alice', 'camera'], (v) => v && v.width < 1280, { timeout: 40_000 });
  await bob.call('simulate', 'subscriber-bandwidth', 0);
  await bob.seesVideo('alice', 'camera', { exact: 1280 });
  await Promise.all([alice.close(), bob.close()]);
});
