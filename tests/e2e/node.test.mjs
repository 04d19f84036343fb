// The Node SDK, which shares its native core with the SDKs for agents, and a browser in one room.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { dispose } from '@livekit/rtc-node';
import { fixture } from './lib/fixture.mjs';
import { NodeClient } from './lib/node.mjs';
import { token } from './lib/token.mjs';
import { until } from './lib/until.mjs';

const MEGABYTE = 1 << 20;

const on = fixture({ browsers: { browser: { toneHz: 660 } } });
after(dispose);

async function pair(room) {
  const node = await NodeClient.join(on.server.ws, await token('node', room));
  const web = await on.join('web', room, { grant: { canUpdateOwnMetadata: true } });
  await until('node to see the browser', () => node.room.remoteParticipants.has('web'));
  return { node, web, close: () => Promise.all([node.leave(), web.close()]) };
}

test('node and a browser exchange audio and video', async () => {
  const { node, web, close } = await pair('node-media');
  await node.publishTone(880);
  await node.publishPicture(640, 360);
  await web.call('publishTone', 1200);
  await web.call('publishCanvas', 320, 240, 'camera');
  await web.hears('node', 880);
  await web.seesVideo('node', 'camera', { exact: 640 });
  await until('a tone of 1200 Hz', () => Math.abs((node.frequency('web') ?? 0) - 1200) < 40);
  await until('moving video', () => node.frames.get('web')?.n > 20 && node.frames.get('web').width === 320);
  await close();
});

test('remote procedures are called both ways, and errors arrive whole', async () => {
  const { node, web, close } = await pair('node-rpc');
  node.room.localParticipant.registerRpcMethod('echo', async ({ callerIdentity, payload }) => {
    if (payload === 'fail') throw Object.assign(new Error('no'), {});
    return `${callerIdentity}:${payload}`;
  });
  await web.call('onRpc', 'greet');
  assert.equal(await web.call('rpc', 'node', 'echo', 'hello'), 'web:hello');
  const greet = (destinationIdentity, method, payload) => node.room.localParticipant.performRpc({ destinationIdentity, method, payload });
  assert.equal(await greet('web', 'greet', 'hi'), 'node:hi');
  const long = 'x'.repeat(14_000);
  assert.equal(await greet('web', 'greet', long), `node:${long}`);
  await assert.rejects(greet('web', 'unknown', ''), (e) => e.code === 1400);
  await assert.rejects(web.call('rpc', 'node', 'echo', 'fail'));
  await close();
});

test('streams of five megabytes arrive whole, both ways', async () => {
  const { node, web, close } = await pair('node-streams');
  const text = randomBytes((5 * MEGABYTE * 3) / 4).toString('base64');
  const got = new Promise((resolve) => {
    node.room.registerTextStreamHandler('big', async (reader, from) => resolve({ text: await reader.readAll(), from: from.identity }));
  });
  await web.call('sendText', text, { topic: 'big' });
  const received = await got;
  assert.equal(received.from, 'web');
  assert.ok(received.text === text, 'the text differs');

  const bytes = randomBytes(5 * MEGABYTE);
  await web.call('onBytes', 'file');
  const writer = await node.room.localParticipant.streamBytes({ name: 'file.bin', topic: 'file', totalSize: bytes.length });
  for (let at = 0; at < bytes.length; at += 64_000) await writer.write(bytes.subarray(at, at + 64_000));
  await writer.close();
  const { createHash } = await import('node:crypto');
  const want = createHash('sha256').update(bytes).digest('hex');
  await web.until('the file', 'messages', [], (m) => m.some((x) => x.sha256 === want && x.from === 'node'), { timeout: 60_000 });
  await close();
});

test('attributes, metadata and names reach the others at once', async () => {
  const { node, web, close } = await pair('node-profile');
  await web.call('setAttributes', { mood: 'fine' });
  await until('the attribute', () => node.room.remoteParticipants.get('web').attributes.mood === 'fine');
  await web.call('setAttributes', { mood: '' });
  await until('its end', () => node.room.remoteParticipants.get('web').attributes.mood === undefined);
  await close();
});

test('two hundred tracks that come and go leave descriptions as short as they were', async () => {
  const { node, web, close } = await pair('node-churn');
  for (const singlePeerConnection of [true, false]) {
    const identity = `churn-${singlePeerConnection}`;
    const churn = await on.join(identity, 'node-churn', { options: { room: { singlePeerConnection } } });
    for (let round = 0; round < 10; round++) await churn.call('churn', 10);
    const sections = await churn.call('sections');
    // Data, and for each kind the section in use and the one that is being given back; one connection also receives on some.
    assert.ok(Math.max(...sections) <= 12, `sections after 100 tracks: ${sections}`);
    const watcher = await web.call('sections');
    assert.ok(Math.max(...watcher) <= 12, `subscriber has ${watcher} sections`);
    await churn.call('publishCanvas', 320, 240, 'camera');
    await web.seesVideo(identity, 'camera', { exact: 320 });
    await until('node sees it too', () => node.frames.get(identity)?.n > 10);
    await churn.close();
  }
  await close();
});
