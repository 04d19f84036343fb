// Three hundred joins and leaves leave nothing behind: no participant, no room, no thread, no descriptor.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { RoomServiceClient } from 'livekit-server-sdk';
import { fixture } from './lib/fixture.mjs';
import { devKeys, token } from './lib/token.mjs';
import { until } from './lib/until.mjs';

const JOINS = 300;
const AT_ONCE = 5;

const on = fixture();

test('three hundred joins and leaves leave nothing behind', async () => {
  const rooms = new RoomServiceClient(on.server.url, devKeys.key, devKeys.secret);
  const host = await on.join('host', 'busy');
  await host.call('publishCanvas', 320, 180, 'camera');
  await until('the host alone', async () => (await rooms.listParticipants('busy')).length === 1);

  const clients = await Promise.all(Array.from({ length: AT_ONCE }, () => on.open()));
  const round = async (n) => {
    await Promise.all(clients.map(async (client, i) => {
      // Both topologies; half of the leaves are polite, half simply close the page's connections.
      const singlePeerConnection = (n + i) % 2 === 0;
      await client.call('connect', on.server.ws, await token(`guest-${n}-${i}`, 'busy'), { room: { singlePeerConnection } });
      if (n % 3 === 0) await client.call('send', `hello ${n}`, { reliable: true });
      await client.call('disconnect');
    }));
  };
  await round(-1);
  await until('only the host after the warm-up', async () => (await rooms.listParticipants('busy')).length === 1);
  const before = on.server.external ? null : { fds: await on.server.openFds(), threads: await on.server.threads() };

  for (let n = 0; n < JOINS / AT_ONCE; n++) await round(n);

  await until('only the host is left', async () => (await rooms.listParticipants('busy')).length === 1);
  await host.until('the host sees nobody', 'participants', [], (p) => p.length === 0);
  if (before) {
    await until('no descriptor is left', async () => (await on.server.openFds()) <= before.fds + 2);
    assert.ok((await on.server.threads()) <= before.threads + 1, 'threads');
  }
  await Promise.all(clients.map((c) => c.close()));

  await rooms.deleteRoom('busy');
  await host.until('the host is sent away', 'isConnected', [], (connected) => !connected);
  assert.deepEqual((await rooms.listRooms()).map((r) => r.name), []);
  await host.close();
});
