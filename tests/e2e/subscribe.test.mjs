// Tracks that are taken, given up and taken again, in any order and at any pace, by SDKs on the Rust core.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dispose } from '@livekit/rtc-node';
import { fixture } from './lib/fixture.mjs';
import { NodeClient } from './lib/node.mjs';
import { PythonSubscriber } from './lib/python.mjs';
import { token } from './lib/token.mjs';
import { until } from './lib/until.mjs';

const on = fixture({ page: null, browsers: {} });
after(dispose);

async function publisher(room) {
  const node = await NodeClient.join(on.server.ws, await token('publisher', room));
  await node.publishTone(880);
  await node.publishPicture(320, 240);
  return node;
}

/** `client` has `counts()` of what reached it, and `toggle(times, end, seed)`. */
async function endsAsAsked(client) {
  const flows = async (what) => {
    const from = await client.counts();
    await until(what, async () => {
      const now = await client.counts();
      return now.audio > from.audio + 20 && now.video > from.video + 10;
    });
  };
  await flows('audio and video at first');
  for (const [round, seed] of [11, 22, 33, 44].entries()) {
    const { tracks } = await client.toggle(50, true, seed);
    assert.equal(tracks, 2);
    await flows(`audio and video after ${50 * (round + 1)} changes`);
  }
  await client.toggle(20, false, 55);
  await until('silence', async () => {
    const from = await client.counts();
    await sleep(1000);
    const now = await client.counts();
    return now.audio === from.audio && now.video === from.video;
  });
  await client.toggle(0, true, 0);
  await flows('audio and video at the end');
}

for (const mode of ['single', 'dual']) {
  test(`python (${mode} peer connection) ends with the tracks it asked for last`, async () => {
    const room = `again-${mode}`;
    const node = await publisher(room);
    const py = new PythonSubscriber(on.server.ws, await token('py', room), mode);
    try {
      await py.saw('connected');
      await endsAsAsked(py);
    } finally {
      await py.leave();
      await node.leave();
    }
  });
}

test('node ends with the tracks it asked for last', async () => {
  const room = 'again-node';
  const node = await publisher(room);
  const watcher = await NodeClient.join(on.server.ws, await token('watcher', room));
  const publications = () => [...watcher.room.remoteParticipants.get('publisher').trackPublications.values()];
  try {
    await until('both tracks', () => watcher.room.remoteParticipants.has('publisher') && publications().length === 2);
    await endsAsAsked({
      counts: async () => ({ audio: watcher.loud.get('publisher') ?? 0, video: watcher.frames.get('publisher')?.n ?? 0 }),
      async toggle(times, end, seed) {
        let state = seed;
        // Park and Miller's generator: the same choices in every run.
        const chance = () => (state = (state * 48271) % 2147483647) / 2147483647;
        for (let i = 0; i < times; i++) {
          publications()[chance() < 0.5 ? 0 : 1].setSubscribed(chance() < 0.5);
          const pause = [0, 0, 0, 1, 10, 30, 100, 300][Math.floor(chance() * 8)];
          if (pause) await sleep(pause);
        }
        // As in subscriber.py: the core may send changes made at once in another order.
        await sleep(500);
        for (const [wanted, pause] of [[!end, 20], [end, 500], [end, 0]]) {
          for (const publication of publications()) publication.setSubscribed(wanted);
          await sleep(pause);
        }
        return { tracks: publications().length };
      },
    });
  } finally {
    await watcher.leave();
    await node.leave();
  }
});
