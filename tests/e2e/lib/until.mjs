import { setTimeout as sleep } from 'node:timers/promises';

/** Polls `probe` until it returns something truthy; fails with the last value seen. */
export async function until(what, probe, { timeout = 20_000, every = 150 } = {}) {
  const deadline = Date.now() + timeout;
  let last;
  for (;;) {
    try {
      last = await probe();
      if (last) return last;
    } catch (e) {
      last = e;
    }
    if (Date.now() > deadline) {
      const shown = last instanceof Error ? last.stack : JSON.stringify(last);
      throw new Error(`gave up waiting until ${what}; last: ${shown}`);
    }
    await sleep(every);
  }
}
