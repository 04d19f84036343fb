// Pulling the cable: the signal socket dies, the server restarts, the network changes.
import { test } from 'node:test';
import { fixture } from './lib/fixture.mjs';
import { PythonClient } from './lib/python.mjs';
import { token } from './lib/token.mjs';

const on = fixture({ browsers: { browser: { toneHz: 660 } } });

for (const singlePeerConnection of [true, false]) {
  const name = singlePeerConnection ? 'one' : 'two';
  const options = { room: { singlePeerConnection } };

  test(`a lost signal socket resumes with the same session (${name} peer connections)`, async () => {
    const { alice, bob } = await on.call(`resume-${name}`, options);
    const sid = await bob.call('sid');
    await bob.call('simulate', 'signal-reconnect');
    await bob.until('the signal to come back', 'events', [], (e) => e.some((x) => /signalReconnecting|reconnecting/i.test(x)) && e.some((x) => /reconnected/i.test(x)));
    if ((await bob.call('sid')) !== sid) throw new Error('the session was replaced');
    await bob.seesVideo('alice');
    await alice.hears('bob', 1200);
    await alice.call('send', 'still here', { reliable: true });
    await bob.until('data after the resume', 'messages', [], (m) => m.some((x) => x.text === 'still here'));
    await alice.close();
    await bob.close();
  });

  test(`a full reconnect brings tracks back (${name} peer connections)`, async () => {
    const { alice, bob } = await on.call(`full-${name}`, options);
    await bob.call('simulate', 'full-reconnect');
    await bob.until('the room to be rebuilt', 'events', [], (e) => e.some((x) => / reconnected$/i.test(x)), { timeout: 40_000 });
    await bob.seesVideo('alice');
    await alice.hears('bob', 1200);
    await alice.close();
    await bob.close();
  });
}

test('the same identity joining again replaces the old session', async () => {
  const first = await on.join('twin', 'twins');
  const second = await on.join('twin', 'twins');
  await first.until('the first to be sent away', 'events', [], (e) => e.some((x) => x.includes('disconnected:2')));
  await second.until('the second to stay', 'isConnected', [], (c) => c);
  await first.close();
  await second.close();
});

test('killing the server and starting it again brings every client back', { skip: process.env.E2E_LIVEKIT_URL ? 'needs our own process' : false }, async () => {
  const { alice, bob } = await on.call('reborn');
  const py = new PythonClient(on.server.ws, await token('py', 'reborn'), { hz: 880 });
  await py.saw('published');
  await bob.hears('py', 880);
  await on.server.kill('SIGKILL');
  await bob.until('the loss to be noticed', 'isConnected', [], (c) => !c, { timeout: 30_000 });
  await on.server.start();
  for (const client of [alice, bob]) {
    await client.until('a client to be back', 'isConnected', [], (c) => c, { timeout: 60_000 });
  }
  await bob.until('everybody to be back', 'participants', [], (p) => p.includes('alice') && p.includes('py'), { timeout: 60_000 });
  await bob.seesVideo('alice');
  await alice.hears('bob', 1200);
  await bob.hears('py', 880);
  await py.leave();
  await alice.close();
  await bob.close();
});
