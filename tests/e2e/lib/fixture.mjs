// What nearly every file needs: a server, the page of the clients and browsers, up before the first test and down after
// the last.
import { after, before } from 'node:test';
import { chromium } from './browser.mjs';
import { SdkClient, servePage } from './sdkpage.mjs';
import { startLivekit } from './server.mjs';
import { token } from './token.mjs';

/**
 * Registers the hooks of the file, or of the `describe` that calls it, and returns what they fill in: `server`, `page`
 * and each of `browsers` by its name. A browser is what `chromium` takes, or a function that starts another one. Hooks of
 * one file do not wait for each other, so what needs all this is made by `ready`.
 */
export function fixture({ start = startLivekit, page = servePage, browsers = { browser: {} }, ready = () => {} } = {}) {
  const on = new Fixture();
  const parts = { server: start, page };
  for (const [name, browser] of Object.entries(browsers)) {
    parts[name] = typeof browser === 'function' ? browser : () => chromium(browser);
  }
  before(async () => {
    await on.up(parts);
    await ready(on);
  });
  after(() => on.down());
  return on;
}

class Fixture {
  async up(parts) {
    this.names = Object.keys(parts).filter((name) => parts[name]);
    // What did start is kept when something else does not, so that it is stopped.
    const results = await Promise.allSettled(this.names.map(async (name) => {
      this[name] = await parts[name]();
    }));
    const failed = results.find((r) => r.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async down() {
    // The server last: browsers that lose it would reconnect meanwhile.
    for (const name of this.names.toReversed()) await (this[name]?.stop ?? this[name]?.close)?.call(this[name]);
  }

  /** A page with the SDK, or another page of ours. */
  open({ browser = this.browser, path = '' } = {}) {
    return SdkClient.open(browser, this.page.url + path);
  }

  /** Alice with a moving picture and Bob with a tone: he sees her and she hears him. */
  async call(room, options = {}) {
    const alice = await this.join('alice', room, { options });
    const bob = await this.join('bob', room, { options });
    await alice.call('publishCanvas', 640, 360, 'camera');
    await bob.call('publishTone', 1200);
    await bob.seesVideo('alice');
    await alice.hears('bob', 1200);
    return { alice, bob, close: () => Promise.all([alice.close(), bob.close()]) };
  }

  /** A page that has joined: `options` are those of the driver's `connect`. */
  async join(identity, room, { options = {}, grant, jwt, ws = this.server.ws, ...where } = {}) {
    const client = await this.open(where);
    await client.call('connect', ws, jwt ?? await token(identity, room, grant), options);
    return client;
  }
}
