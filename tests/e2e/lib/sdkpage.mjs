// Serves the unmodified livekit-client bundle with a small driver page, and wraps it for tests.
import http from 'node:http';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './until.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const files = {
  '/': ['text/html', path.join(here, '../page/sdk.html')],
  '/one_shot': ['text/html', path.join(here, '../page/one_shot.html')],
  '/one_shot.js': ['text/javascript', path.join(here, '../page/one_shot.js')],
  '/media.js': ['text/javascript', path.join(here, '../page/media.js')],
  '/ladder.js': ['text/javascript', path.join(here, '../page/ladder.js')],
  '/driver.js': ['text/javascript', path.join(here, '../page/driver.js')],
  '/livekit.js': ['text/javascript', path.join(here, '../node_modules/livekit-client/dist/livekit-client.umd.js')],
};

export async function servePage() {
  const server = http.createServer(async (req, res) => {
    const file = files[new URL(req.url, 'http://x').pathname];
    if (!file) return res.writeHead(404).end();
    res.writeHead(200, { 'content-type': file[0] }).end(await readFile(file[1]));
  });
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => new Promise((r) => server.close(r)) };
}

/** One participant in one browser page. */
export class SdkClient {
  static async open(browser, pageUrl) {
    const page = await browser.newPage();
    const client = new SdkClient(page);
    page.on('console', (m) => client.log.push(`${m.type()}: ${m.text()}`));
    page.on('pageerror', (e) => client.log.push(`pageerror: ${e.message ?? e}`));
    await page.goto(pageUrl);
    await page.waitForFunction('window.driver !== undefined');
    return client;
  }

  constructor(page) {
    this.page = page;
    this.log = [];
  }

  /** Calls a function of the driver page; a call that hangs fails with the page's own log. */
  async call(name, ...args) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${name} did not finish in 30 s; log: ${this.log.slice(-25).join('\n')}`)), 30_000);
    });
    try {
      return await Promise.race([this.page.evaluate((n, a) => window.driver[n](...a), name, args), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async until(what, name, args, accept, opts) {
    try {
      const found = await until(what, async () => {
        const value = await this.call(name, ...args);
        return accept(value) ? { value } : (this.last = value, false);
      }, opts);
      return found.value;
    } catch (e) {
      const events = await this.call('events').catch(() => []);
      throw new Error(`${e.message}\nlast value: ${JSON.stringify(this.last)}\nevents: ${events.slice(-25).join(' | ')}\nlog: ${this.log.slice(-25).join('\n')}`);
    }
  }

  /** Decoded video of `identity` keeps growing and has the wanted size. */
  async seesVideo(identity, source = 'camera', { minWidth = 1, exact } = {}) {
    const first = await this.until(`video of ${identity}`, 'video', [identity, source], (v) => v && v.frames > 0 && v.width >= minWidth && (!exact || v.width === exact));
    await this.until(`moving video of ${identity}`, 'video', [identity, source], (v) => v && v.frames > first.frames + 10);
    return this.call('video', identity, source);
  }

  /** The remote audio of `identity` has its energy at `hz`. */
  hears(identity, hz, tolerance = 25) {
    return this.until(`a tone of ${hz} Hz from ${identity}`, 'peak', [identity], (p) => p && p.level > -70 && Math.abs(p.hz - hz) <= tolerance);
  }

  close() {
    return this.page.close().catch(() => {});
  }
}
