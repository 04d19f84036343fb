// LiveKit's own agents framework works for our rooms: workers register, get jobs, join, and end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentDispatchClient, RoomAgentDispatch, RoomConfiguration, RoomServiceClient, AccessToken } from 'livekit-server-sdk';
import { AgentWorker } from './lib/agentworker.mjs';
import { fixture } from './lib/fixture.mjs';
import { devKeys, token } from './lib/token.mjs';
import { until } from './lib/until.mjs';

const AGENT = 4;
const RUNNING = 1;

let rooms;
let dispatches;
const on = fixture({
  browsers: { browser: { toneHz: 660 } },
  ready: ({ server }) => {
    rooms = new RoomServiceClient(server.url, devKeys.key, devKeys.secret);
    dispatches = new AgentDispatchClient(server.url, devKeys.key, devKeys.secret);
  },
});

/** Runs with workers that are gone afterwards whatever happens. */
async function withWorkers(options, run) {
  const workers = [];
  try {
    for (const o of options) workers.push(await AgentWorker.start(o.url ?? on.server.ws, o));
    await run(...workers);
  } finally {
    await Promise.all(workers.map((w) => w.kill()));
  }
}

const enter = (room, jwt) => on.join('ada', room, { jwt });

/** Sends a word until the agent has sent it back; it may not be subscribed to data yet. */
async function echoes(web, identity, word) {
  const back = [...word].reverse().join('');
  await until(`an echo from ${identity}`, async () => {
    await web.call('send', word, { reliable: true });
    return (await web.call('messages')).some((m) => m.text === back && m.from === identity && m.topic === 'echo');
  }, { timeout: 30_000, every: 500 });
}

test('a worker without a name joins a new room, speaks, answers data and counts as an agent', async () => {
  const prefix = on.server.external ? '' : '/livekit';
  await withWorkers([{ url: on.server.ws + prefix }], async (worker) => {
    const web = await enter('agents-auto');
    try {
      const job = await worker.saw('job', (e) => e.room === 'agents-auto');
      const { identity } = await worker.saw('joined', (e) => e.id === job.id);
      await web.hears(identity, 520);
      await echoes(web, identity, 'hello');
      const everyone = await rooms.listParticipants('agents-auto');
      const agent = everyone.find((p) => p.identity === identity);
      assert.equal(agent.kind, AGENT);
      assert.equal(agent.attributes['lk.agent_name'], '');
      await until('one participant is counted: not the agent', async () => (await rooms.listRooms(['agents-auto']))[0].numParticipants === 1);
      await rooms.deleteRoom('agents-auto');
      await worker.saw('ended', (e) => e.id === job.id);
    } finally {
      await web.close();
    }
  });
});

test('a named worker comes by dispatch, shows its job, and goes when the dispatch is deleted', async () => {
  await withWorkers([{ name: 'helper' }], async (worker) => {
    const web = await enter('agents-explicit');
    try {
      const dispatch = await dispatches.createDispatch('agents-explicit', 'helper', { metadata: 'be kind' });
      const job = await worker.saw('job', (e) => e.dispatch === dispatch.id);
      assert.equal(job.metadata, 'be kind');
      assert.equal(job.agent, 'helper');
      const { identity } = await worker.saw('joined', (e) => e.id === job.id);
      await echoes(web, identity, 'named');
      const [shown] = await until('the job is shown', async () => {
        const { jobs } = (await dispatches.getDispatch(dispatch.id, 'agents-explicit')).state;
        return jobs.length === 1 && jobs;
      });
      assert.equal(shown.state.status, RUNNING);
      assert.equal(shown.state.participantIdentity, identity);
      await dispatches.deleteDispatch(dispatch.id, 'agents-explicit');
      await worker.saw('ended', (e) => e.id === job.id);
      await web.until('the agent is gone', 'participants', [], (p) => !p.includes(identity));
      const left = await dispatches.listDispatch('agents-explicit');
      assert.equal(left.some((d) => d.id === dispatch.id), false);
      await assert.rejects(dispatches.deleteDispatch(dispatch.id, 'agents-explicit'), { code: 'not_found' });
    } finally {
      await web.close();
    }
  });
});

test('agents named in a token come with whoever opens the room', { skip: Boolean(process.env.E2E_LIVEKIT_URL) && 'the SDK writes fields that older servers refuse' }, async () => {
  await withWorkers([{ name: 'concierge' }], async (worker) => {
    const t = new AccessToken(devKeys.key, devKeys.secret, { identity: 'ada' });
    t.addGrant({ roomJoin: true, room: 'agents-token' });
    t.roomConfig = new RoomConfiguration({ agents: [new RoomAgentDispatch({ agentName: 'concierge', metadata: 'by token' })] });
    const web = await enter('agents-token', await t.toJwt());
    try {
      const job = await worker.saw('job', (e) => e.room === 'agents-token');
      assert.equal(job.metadata, 'by token');
      const { identity } = await worker.saw('joined', (e) => e.id === job.id);
      await echoes(web, identity, 'token');
    } finally {
      await web.close();
    }
  });
});

test('a worker for publishers is called for each person at the first track, not for agents', async () => {
  await withWorkers([{ name: 'listener', type: 'publisher' }], async (worker) => {
    await rooms.createRoom({ name: 'agents-publisher', agents: [new RoomAgentDispatch({ agentName: 'listener' })] });
    const web = await enter('agents-publisher');
    try {
      await web.call('publishMicrophone');
      const job = await worker.saw('job', (e) => e.room === 'agents-publisher');
      assert.equal(job.participant, 'ada');
      const { identity } = await worker.saw('joined', (e) => e.id === job.id);
      await web.hears(identity, 520);
      // The agent publishes as well; that starts nothing.
      await web.call('publishCamera');
      await echoes(web, identity, 'listen');
      assert.equal(worker.events.filter((e) => e.event === 'job').length, 1);
    } finally {
      await web.close();
    }
  });
});

test('the job of a worker that dies goes to another one', { skip: Boolean(process.env.E2E_LIVEKIT_URL) && 'the reference server forgets the job' }, async () => {
  await withWorkers([{ name: 'phoenix' }], async (first) => {
    const web = await enter('agents-lost');
    try {
      await dispatches.createDispatch('agents-lost', 'phoenix');
      const job = await first.saw('job');
      const { identity } = await first.saw('joined');
      await echoes(web, identity, 'first');
      await withWorkers([{ name: 'phoenix' }], async (second) => {
        await first.kill();
        const again = await second.saw('job', () => true, { timeout: 90_000 });
        assert.equal(again.id, job.id);
        const joined = await second.saw('joined');
        await echoes(web, joined.identity, 'second');
      });
    } finally {
      await web.close();
    }
  });
});
