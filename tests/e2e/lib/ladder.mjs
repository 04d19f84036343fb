// Calls whose sound tells how much of it goes missing.

/** Alice and Bob, each sending the ladder and hearing the other's; `how` is how Bob joins. */
export async function ladderCall(on, room, options = {}, how = {}) {
  const [alice, bob] = [await on.join('alice', room, { options }), await on.join('bob', room, { options, ...how })];
  await Promise.all([alice.call('publishLadder'), bob.call('publishLadder')]);
  for (const [ear, voice] of [[alice, 'bob'], [bob, 'alice']]) {
    await ear.until(`the track of ${voice}`, 'tracks', [voice], (t) => t.some((x) => x.subscribed));
    await ear.call('followLadder', voice);
    await goesOn(ear);
  }
  return { alice, bob, close: () => Promise.all([alice.close(), bob.close()]) };
}

/** The client hears more of the tone. */
async function goesOn(client) {
  const { steps } = await client.call('ladder');
  await client.until('the tone to go on', 'ladder', [], (l) => l.steps >= steps + 15, { timeout: 40_000 });
}

/** Disturbs and waits until Bob has had this event of the room and both hear the tone. What each missed meanwhile. */
export async function loses({ alice, bob }, disturb, event) {
  await Promise.all([alice, bob].map((c) => c.call('resetLadder')));
  const before = (await bob.call('events')).length;
  await disturb(bob);
  if (event) await bob.until('the recovery', 'events', [], (e) => e.slice(before).some((x) => x.endsWith(` ${event}`)), { timeout: 60_000 });
  await Promise.all([alice, bob].map(goesOn));
  return { bob: await bob.call('ladder'), alice: await alice.call('ladder') };
}
