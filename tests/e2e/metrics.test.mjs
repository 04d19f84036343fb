// Prometheus metrics follow a real meeting. Against another server (E2E_LIVEKIT_BIN) only the names both have count.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RoomServiceClient } from 'livekit-server-sdk';
import { PythonClient } from './lib/python.mjs';
import { freePort } from './lib/ports.mjs';
import { configuredKeys, scrape, startLivekitWith } from './lib/server.mjs';
import { token } from './lib/token.mjs';
import { until } from './lib/until.mjs';

let server;
let url;
const login = { authorization: `Basic ${Buffer.from('prom:secret').toString('base64')}` };
before(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}/metrics`;
  server = await startLivekitWith(`prometheus: {port: ${port}, username: prom, password: secret}`);
});
after(() => server?.stop());

test('figures need the credentials', async () => {
  assert.equal((await fetch(url)).status, 401);
  assert.equal((await fetch(url, { headers: { authorization: 'Basic cHJvbTp4' } })).status, 401);
});

test('figures rise with a meeting and fall when it ends', async () => {
  const room = 'counted';
  const clients = [];
  try {
    for (const who of ['ada', 'bob']) clients.push(new PythonClient(server.ws, await token(who, room, {}, configuredKeys)));
    for (const client of clients) await client.saw('published');
    await clients[0].saw('saw', (e) => e.identity === 'bob' && e.frames > 20);
    const rooms = new RoomServiceClient(server.url, configuredKeys.key, configuredKeys.secret);
    await rooms.listRooms();
    const wanted = {
      'livekit_room_total{}': (v) => v === 1,
      'livekit_participant_total{}': (v) => v === 2,
      'livekit_participant_join_total{state="signal_connected"}': (v) => v >= 2,
      'livekit_participant_join_total{state="rtc_connected"}': (v) => v === 2,
      'livekit_track_published_total{kind="AUDIO"}': (v) => v === 2,
      'livekit_track_published_total{kind="VIDEO"}': (v) => v === 2,
      'livekit_track_subscribed_total{kind="AUDIO"}': (v) => v === 2,
      'livekit_track_subscribed_total{kind="VIDEO"}': (v) => v === 2,
      'livekit_packet_total{direction="incoming",transmission="initial"}': (v) => v > 50,
      'livekit_packet_total{direction="outgoing",transmission="initial"}': (v) => v > 50,
      'livekit_packet_bytes{direction="incoming",transmission="initial"}': (v) => v > 10_000,
      'livekit_packet_bytes{direction="outgoing",transmission="initial"}': (v) => v > 10_000,
      'livekit_node_messages{direction="request",status="success",type="signal"}': (v) => v > 4,
      'livekit_node_twirp_request_status{code="",method="ListRooms",service="RoomService",status="200"}': (v) => v >= 1,
      'process_resident_memory_bytes{}': (v) => v > 1e6,
      'process_cpu_seconds_total{}': (v) => v > 0,
      'process_open_fds{}': (v) => v > 5,
    };
    if (!server.external) {
      Object.assign(wanted, {
        [`bedrud_room_participants{room="${room}"}`]: (v) => v === 2,
        [`bedrud_room_tracks{kind="VIDEO",room="${room}"}`]: (v) => v === 2,
        [`bedrud_room_bytes_total{direction="incoming",room="${room}"}`]: (v) => v > 10_000,
        [`bedrud_room_bytes_total{direction="outgoing",room="${room}"}`]: (v) => v > 10_000,
        'bedrud_room_participants{room="other"}': (v) => v === 0,
        'livekit_session_start_time_ms_count{}': (v) => v === 2,
        'bedrud_first_media_ms_count{kind="AUDIO"}': (v) => v >= 2,
        'bedrud_first_media_ms_count{kind="VIDEO"}': (v) => v >= 2,
        'bedrud_agent_workers{state="available"}': (v) => v === 0,
      });
    }
    let wrong;
    await until('all figures are as they should be', async () => {
      const seen = await scrape(url, login);
      wrong = Object.entries(wanted).filter(([name, ok]) => !ok(seen.get(name))).map(([name]) => `${name} ${seen.get(name)}`);
      return wrong.length === 0;
    }, { timeout: 30_000, every: 500 }).catch(() => assert.deepEqual(wrong, []));
  } finally {
    for (const client of clients) await client.leave();
  }
  await until('everybody is gone', async () => (await scrape(url, login)).get('livekit_participant_total{}') === 0);
  if (server.external) return;
  const after = await scrape(url, login);
  assert.equal(after.get('livekit_session_duration_ms_count{}'), 2);
  const sum = (name) => [...after].filter(([series]) => series.startsWith(`${name}{`)).reduce((n, [, v]) => n + v, 0);
  assert.equal(sum('livekit_session_join_latency_ms_count'), 2);
  assert.equal(sum('livekit_pubsubtime_ms_count'), 4);
});
