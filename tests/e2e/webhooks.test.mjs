// Webhooks as the server SDK's receiver reads them: what a participant's visit says, and that nothing is lost.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import http from 'node:http';
import { RoomServiceClient } from 'livekit-server-sdk';
import { Hooks } from './lib/hooks.mjs';
import { PythonClient } from './lib/python.mjs';
import { freePort } from './lib/ports.mjs';
import { configuredKeys, scrape, startLivekitWith } from './lib/server.mjs';
import { token } from './lib/token.mjs';
import { until } from './lib/until.mjs';

let hooks;
let filtered;
let server;
let rooms;
let metrics;
before(async () => {
  [hooks, filtered] = await Promise.all([Hooks.start(configuredKeys), Hooks.start(configuredKeys)]);
  const port = await freePort();
  metrics = `http://127.0.0.1:${port}/metrics`;
  server = await startLivekitWith(`room: {departure_timeout: 1}
prometheus: {port: ${port}}
webhook:
  api_key: ${configuredKeys.key}
  urls: ['${hooks.url}']`);
  rooms = new RoomServiceClient(server.url, configuredKeys.key, configuredKeys.secret);
});
after(async () => {
  await server?.stop();
  await hooks?.close();
  await filtered?.close();
});

test('a visit is told event by event, in order, with the fields that receivers rely on', async () => {
  const room = 'visit';
  const py = new PythonClient(server.ws, await token('ada', room, {}, configuredKeys));
  await py.saw('published');
  await until('both tracks are told', () => hooks.names(room).filter((n) => n === 'track_published').length === 2);
  await py.leave();
  await hooks.saw(room, 'room_finished');
  assert.deepEqual(hooks.names(room), [
    'room_started', 'participant_joined', 'track_published', 'track_published',
    'track_unpublished', 'track_unpublished', 'participant_left', 'room_finished',
  ]);
  assert.deepEqual(hooks.errors, []);

  const all = hooks.of(room);
  assert.equal(new Set(all.map((h) => h.event.id)).size, all.length, 'ids are unique');
  const sid = all[0].event.room.sid;
  assert.match(sid, /^RM_/);
  for (const { event, raw, headers } of all) {
    assert.match(event.id, /^EV_[0-9A-Za-z]{12}$/);
    assert.equal(event.room.sid, sid);
    assert.equal(headers['content-type'], 'application/webhook+json');
    assert.ok(!headers.authorization.startsWith('Bearer'));
    assert.ok(Math.abs(Number(event.createdAt) - Date.now() / 1000) < 120, raw.createdAt);
  }
  const of = (name) => all.filter((h) => h.raw.event === name);
  const started = of('room_started')[0].raw.room;
  assert.equal(started.departureTimeout, 1);
  assert.ok(started.creationTime && started.enabledCodecs.length > 0);
  const joined = of('participant_joined')[0].raw;
  assert.deepEqual([joined.participant.identity, joined.participant.name, joined.participant.state], ['ada', 'ada name', 'ACTIVE']);
  assert.ok(joined.participant.permission.canPublish && joined.room.emptyTimeout);
  for (const { raw } of [...of('track_published'), ...of('track_unpublished')]) {
    assert.deepEqual(raw.room, { sid, name: room }, 'tracks name the room only');
    assert.deepEqual(Object.keys(raw.participant).sort(), ['identity', 'sid']);
    assert.match(raw.track.sid, /^TR_/);
  }
  const kinds = of('track_published').map((h) => h.event.track.source).sort();
  const kindsGone = of('track_unpublished').map((h) => h.event.track.source).sort();
  assert.deepEqual(kinds, [1, 2], 'camera and microphone');
  assert.deepEqual(kindsGone, kinds);
  const left = of('participant_left')[0].raw.participant;
  assert.deepEqual([left.state, left.disconnectReason, left.identity], ['DISCONNECTED', 'CLIENT_INITIATED', 'ada']);
});

test('who never gets connected has aborted, not left', async () => {
  const room = 'aborted';
  const jwt = await token('eve', room, {}, configuredKeys);
  const socket = await new Promise((resolve, reject) => {
    const request = http.get(`${server.url}/rtc?access_token=${jwt}&protocol=15&sdk=js`, {
      headers: { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' },
    });
    request.on('upgrade', (_, upgraded) => resolve(upgraded)).on('error', reject);
    request.on('response', (r) => reject(new Error(`status ${r.statusCode}`)));
  });
  socket.on('error', () => {});
  await until('eve is there', async () => (await rooms.listParticipants(room)).length === 1);
  await rooms.deleteRoom(room);
  await hooks.saw(room, 'room_finished');
  socket.destroy();
  assert.deepEqual(hooks.names(room).sort(), ['participant_connection_aborted', 'room_finished', 'room_started']);
  assert.equal(hooks.of(room).find((h) => h.raw.event === 'participant_connection_aborted').raw.participant.identity, 'eve');
});

test('filters keep the other events away', async () => {
  const only = await startLivekitWith(`webhook:
  api_key: ${configuredKeys.key}
  urls: ['${filtered.url}']
  filter_params: {include_events: [room_finished]}`);
  try {
    const client = new RoomServiceClient(only.url, configuredKeys.key, configuredKeys.secret);
    await client.createRoom({ name: 'few' });
    await client.deleteRoom('few');
    await filtered.saw('few', 'room_finished');
    assert.deepEqual(filtered.names('few'), ['room_finished']);
  } finally {
    await only.stop();
  }
});

test('events that could not be delivered survive a crash of the server', { skip: Boolean(process.env.E2E_LIVEKIT_BIN) && 'the reference keeps them in memory' }, async () => {
  const room = 'crash';
  hooks.answer = (event) => (event.room?.name === room ? 503 : 200);
  await rooms.createRoom({ name: room });
  await rooms.deleteRoom(room);
  await until('the receiver has refused an event', () => hooks.of(room, hooks.refused).length > 0);
  // An event is told after its call was answered: it is kept once it waits.
  await until('both events wait', async () => (await scrape(metrics)).get('bedrud_webhook_pending{}') === 2);
  await server.kill('SIGKILL');
  assert.deepEqual(hooks.names(room), []);
  hooks.answer = () => 200;
  await server.start();
  await hooks.saw(room, 'room_finished');
  assert.deepEqual(hooks.names(room), ['room_started', 'room_finished'], 'each once, in order');
  const refused = hooks.of(room, hooks.refused)[0].event.id;
  assert.equal(hooks.of(room)[0].event.id, refused, 'the same event, not a new one');
});
