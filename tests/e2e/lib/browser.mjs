// Headless Chromium and Firefox with fake devices.
import puppeteer from 'puppeteer-core';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { writeTone } from './tone.mjs';

const pick = (env, candidates) => {
  const found = [process.env[env], ...candidates].find((p) => p && existsSync(p));
  if (!found) throw new Error(`no browser: set ${env} or install one of ${candidates.join(', ')}`);
  return found;
};

const quiet = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
  '--disable-dev-shm-usage',
  '--disable-features=Translate,OptimizationHints,MediaRouter,WebRtcHideLocalIpsWithMdns',
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

/**
 * Chromium whose microphone beeps at `toneHz`. With `udp: false` the browser refuses to send UDP, as behind a
 * firewall: only ICE/TCP remains.
 */
export async function chromium({ toneHz = 0, udp = true, width = 1280, height = 800 } = {}) {
  const dir = await mkdtemp(path.join(tmpdir(), 'bedrud-chromium-'));
  const args = [
    ...quiet,
    '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream=fps=15',
    '--autoplay-policy=no-user-gesture-required',
    '--auto-accept-this-tab-capture',
    '--auto-select-desktop-capture-source=Entire screen',
  ];
  if (toneHz) args.push(`--use-file-for-fake-audio-capture=${await writeTone(path.join(dir, 'tone.wav'), toneHz)}`);
  if (!udp) args.push('--force-webrtc-ip-handling-policy=disable_non_proxied_udp', '--webrtc-ip-handling-policy=disable_non_proxied_udp');
  const browser = await puppeteer.launch({
    executablePath: pick('CHROMIUM', ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']),
    headless: true,
    userDataDir: path.join(dir, 'profile'),
    defaultViewport: { width, height },
    args,
  });
  return withCleanup(browser, dir);
}

/** Firefox with fake devices. It gathers no loopback candidates: run it inside scripts/in-netns.sh. */
export async function firefox() {
  const dir = await mkdtemp(path.join(tmpdir(), 'bedrud-firefox-'));
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: pick('FIREFOX', ['/usr/bin/firefox-esr', '/usr/bin/firefox']),
    headless: true,
    userDataDir: path.join(dir, 'profile'),
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.audio.fake_frequency': 1000,
      'media.navigator.permission.disabled': true,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.autoplay.default': 0,
      'media.autoplay.blocking_policy': 0,
      'network.captive-portal-service.enabled': false,
      'network.connectivity-service.enabled': false,
      'app.update.enabled': false,
      'browser.safebrowsing.downloads.remote.enabled': false,
      'datareporting.policy.dataSubmissionEnabled': false,
    },
  });
  return withCleanup(browser, dir);
}

function withCleanup(browser, dir) {
  const close = browser.close.bind(browser);
  browser.close = async () => {
    await close().catch(() => {});
    await rm(dir, { recursive: true, force: true }).catch(() => {});
  };
  return browser;
}
