// A person in front of the embedded web app.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { outDir } from './server.mjs';
import { until } from './until.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const id = (testid) => `[data-testid="${testid}"]`;

export class AppClient {
  static async open(browser, base, { context } = {}) {
    const page = await (context ?? browser).newPage();
    const client = new AppClient(page, base);
    page.on('console', (m) => client.log.push(`${m.type()}: ${m.text()}`));
    page.on('pageerror', (e) => client.log.push(`pageerror: ${e.message ?? e}`));
    page.on('requestfailed', (r) => client.log.push(`failed: ${r.url()} ${r.failure()?.errorText}`));
    page.on('request', (r) => {
      if (!r.url().startsWith(base) && !/^(data|blob|ws):/.test(r.url())) client.foreign.push(r.url());
    });
    await page.evaluateOnNewDocument(await readFile(path.join(here, '../page/media.js'), 'utf8'));
    await page.evaluateOnNewDocument(() => localStorage.setItem('bedrud.debug', '1'));
    return client;
  }

  constructor(page, base) {
    Object.assign(this, { page, base, log: [], foreign: [] });
  }

  async go(where) {
    await this.page.goto(new URL(where, this.base).href);
  }

  /** Waits for an element to be shown; fails with a screenshot and the console. */
  async shown(testid, timeout = 15_000) {
    try {
      return await this.page.waitForSelector(id(testid), { visible: true, timeout });
    } catch (e) {
      throw await this.explain(`${testid} is not shown: ${e.message}`);
    }
  }

  async explain(message) {
    const file = path.join(outDir, `failure-${Date.now()}.png`);
    await this.page.screenshot({ path: file }).catch(() => {});
    return new Error(`${message}\nurl: ${this.page.url()}\nscreenshot: ${file}\nconsole:\n${this.log.slice(-30).join('\n')}`);
  }

  async click(testid) {
    await this.shown(testid);
    // A locator waits until the control is enabled and holds still.
    await this.page.locator(id(testid)).setTimeout(15_000).click();
  }

  async type(testid, text) {
    const field = await this.shown(testid);
    await field.click({ count: 3 });
    await field.type(text);
  }

  async text(testid) {
    return this.page.$eval(id(testid), (e) => e.textContent.trim());
  }

  async until(what, probe, opts) {
    try {
      return await until(what, probe, opts);
    } catch (e) {
      throw await this.explain(e.message);
    }
  }

  /** What the page shows of a participant's tile. */
  tile(identity, source = 'camera') {
    return this.page.evaluate((who, src) => {
      const tile = [...document.querySelectorAll('[data-testid="tile"]')].find((t) => t.dataset.source === src && (t.dataset.identity === who || t.textContent.includes(who)));
      if (!tile) return null;
      const video = tile.querySelector('video');
      const quality = video?.getVideoPlaybackQuality();
      return { identity: tile.dataset.identity, micMuted: tile.dataset.micMuted, speaking: tile.dataset.speaking, width: video?.videoWidth ?? 0, height: video?.videoHeight ?? 0, frames: quality?.totalVideoFrames ?? 0 };
    }, identity, source);
  }

  /** The tile of `identity` shows a moving picture. */
  async seesMoving(identity, source = 'camera', minWidth = 160) {
    const first = await this.until(`a picture of ${identity} (${source})`, async () => {
      const t = await this.tile(identity, source);
      return t && t.width >= minWidth && t.frames > 0 ? t : null;
    }, { timeout: 30_000 });
    return this.until(`${identity} (${source}) to move`, async () => {
      const t = await this.tile(identity, source);
      return t && t.frames > first.frames + 8 ? t : null;
    });
  }

  /** True while the banner shows this state of the connection. */
  link(state) {
    return this.page.evaluate((s) => document.querySelector('[data-testid="connection-banner"]')?.dataset.state === s, state);
  }

  /** From the next page on, remembers every track that a device gives. */
  async countDevices() {
    await this.page.evaluateOnNewDocument(() => {
      window.openedTracks = [];
      const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (constraints) => {
        const stream = await open(constraints);
        window.openedTracks.push(...stream.getTracks());
        return stream;
      };
    });
  }

  /** How many tracks the page opened, and how many of them still hold a device. */
  devices() {
    return this.page.evaluate(() => ({ live: window.openedTracks.filter((t) => t.readyState === 'live').length, opened: window.openedTracks.length }));
  }

  /** Frequency with the most energy in what arrives from `identity`. */
  async hears(hz, tolerance = 25) {
    return this.until(`a tone of ${hz} Hz`, async () => {
      const peak = await this.page.evaluate(() => {
        const room = window.__bedrudRoom;
        const track = [...(room?.remoteParticipants.values() ?? [])].flatMap((p) => [...p.audioTrackPublications.values()]).map((p) => p.track?.mediaStreamTrack).find(Boolean);
        return track ? window.media.peak(track) : null;
      });
      return peak && peak.level > -75 && Math.abs(peak.hz - hz) <= tolerance ? peak : null;
    }, { timeout: 30_000 });
  }

  async register(name, email, password) {
    await this.go('/auth/register');
    await this.type('name', name);
    await this.type('email', email);
    await this.type('password', password);
    await this.click('register-submit');
    await this.shown('create-room');
  }

  /** Creates a room and returns its address. */
  async createRoom(name) {
    await this.go('/dashboard');
    await this.click('create-room');
    await this.type('room-name', name);
    await this.click('create-submit');
    await this.until('the room to exist', () => this.page.evaluate((n) => document.body.textContent.includes(n) || location.pathname.includes(n), name));
    return new URL(`/m/${name}`, this.base).href;
  }

  async enter(where) {
    await this.go(where);
    await this.join();
  }

  /** Switches the camera on (it is off until asked for) and joins from the preview. */
  async join() {
    await this.click('prejoin-camera');
    await this.click('prejoin-join');
    await this.shown('leave', 30_000);
  }

  async close() {
    await this.page.close().catch(() => {});
  }
}
