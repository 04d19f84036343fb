// The network under a call changes: the interface in use goes away and another one takes over. Runs in a network
// namespace of its own (scripts/in-netns.sh), where it makes two interfaces besides the address of the server.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fixture } from './lib/fixture.mjs';
import { ladderCall, loses } from './lib/ladder.mjs';

const ip = (command) => execFileSync('ip', command.split(' '));

// Browsers do not use loopback interfaces, so nobody but the server has this address.
process.env.E2E_NODE_IP = '10.96.0.1';
ip('addr add 10.96.0.1/32 dev lo');
const interfaces = { wifi: '10.97.0.1', cable: '10.98.0.1' };
for (const [name, address] of Object.entries(interfaces)) {
  ip(`link add ${name} type veth peer name ${name}-peer`);
  ip(`addr add ${address}/24 dev ${name}`);
  for (const end of [name, `${name}-peer`]) ip(`link set ${end} up`);
}
// The interface that comes with the namespace would be a third way.
ip('link set test0 down');
ip('route add default via 10.98.0.2');

const on = fixture();

for (const singlePeerConnection of [true, false]) {
  test(`${singlePeerConnection ? 'one peer connection' : 'two peer connections'}: a call survives the loss of its interface`, async (t) => {
    const pair = await ladderCall(on, `network-${singlePeerConnection}`, { room: { singlePeerConnection } });
    const { alice, bob, close } = pair;
    const tracks = async () => [await alice.call('tracks', 'bob'), await bob.call('tracks', 'alice'), await bob.call('sid')];
    const before = await tracks();
    const [used] = await bob.call('addresses');
    const name = Object.keys(interfaces).find((n) => interfaces[n] === used);
    assert.ok(name, `the call uses ${used}`);
    const lost = await loses(pair, async () => {
      ip(`addr del ${used}/24 dev ${name}`);
      await bob.until('another interface', 'addresses', [], (a) => a.length > 0 && !a.includes(used), { timeout: 40_000 });
    });
    t.diagnostic(`${name} gone: ${JSON.stringify(lost)}`);
    assert.deepEqual(await tracks(), before);
    ip(`addr add ${used}/24 dev ${name}`);
    await close();
  });
}
