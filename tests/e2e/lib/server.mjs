// Starts the real binary on a free loopback port and stops it again.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createWriteStream, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './ports.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const outDir = path.join(root, 'tests/e2e/out');
mkdirSync(outDir, { recursive: true });

const binary = process.env.BEDRUD_BIN ?? path.join(root, 'target/debug/bedrud');

async function waitFor(url, child, log) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`server exited with ${child.exitCode}:\n${await log()}`);
    try {
      const res = await fetch(url);
      if (res.ok) return;
    } catch {
      // not listening yet
    }
    if (Date.now() > deadline) throw new Error(`server not ready:\n${await log()}`);
    await sleep(50);
  }
}

class Server {
  constructor({ args, env, port, health, name, dataDir }) {
    Object.assign(this, { args, env, port, health, name, dataDir });
    this.url = `http://127.0.0.1:${port}`;
    this.ws = `ws://127.0.0.1:${port}`;
  }

  async start() {
    this.logFile = path.join(outDir, `${this.name}-${this.port}.log`);
    const log = createWriteStream(this.logFile, { flags: 'a' });
    this.child = spawn(this.binary ?? binary, this.args, {
      cwd: this.dataDir,
      env: { ...process.env, BEDRUD_LOG: process.env.BEDRUD_LOG ?? 'info', ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout.pipe(log);
    this.child.stderr.pipe(log);
    this.exited = new Promise((r) => this.child.once('exit', (code, signal) => r({ code, signal })));
    await waitFor(this.url + this.health, this.child, () => readFile(this.logFile, 'utf8'));
    return this;
  }

  /** Descriptors open in the server process. */
  async openFds() {
    const { readdir } = await import('node:fs/promises');
    return (await readdir(`/proc/${this.child.pid}/fd`)).length;
  }

  /** Threads of the server process. */
  async threads() {
    const { readdir } = await import('node:fs/promises');
    return (await readdir(`/proc/${this.child.pid}/task`)).length;
  }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    return this.exited;
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      // The first signal waits for whoever is still there, the second does not.
      if (this.name === 'livekit-with') setTimeout(() => this.child.kill('SIGTERM'), 300);
      const result = await Promise.race([this.exited, sleep(10_000).then(() => null)]);
      if (!result) {
        this.child.kill('SIGKILL');
        throw new Error('server did not stop within 10 s of SIGTERM');
      }
    }
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** `bedrud run` on fresh data. */
export async function startPlatform({ env = {} } = {}) {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'bedrud-e2e-'));
  const port = await freePort();
  const server = new Server({
    name: 'run',
    args: ['run'],
    env: { SERVER_PORT: String(port), BEDRUD_DATA: path.join(dataDir, 'data'), ...env },
    port,
    health: '/api/ready',
    dataDir,
  });
  return server.start();
}

/** `bedrud livekit --dev`, or the server at E2E_LIVEKIT_URL for comparing behaviours. */
export async function startLivekit() {
  if (process.env.E2E_LIVEKIT_URL) {
    const ws = process.env.E2E_LIVEKIT_URL;
    return { ws, url: ws.replace(/^ws/, 'http'), stop: async () => {}, external: true };
  }
  const dataDir = await mkdtemp(path.join(tmpdir(), 'bedrud-e2e-'));
  const port = await freePort();
  // In a test network of its own the server tells clients the address of that network.
  const nodeIp = process.env.E2E_NODE_IP;
  const address = nodeIp ? ['--bind', '0.0.0.0', '--node-ip', nodeIp] : ['--bind', '127.0.0.1'];
  const server = new Server({
    name: 'livekit',
    args: ['livekit', '--dev', ...address, '--port', String(port)],
    env: {},
    port,
    health: '/',
    dataDir,
  });
  return server.start();
}

/** Samples of a Prometheus exposition: name with its labels, in the order of their names, to value. */
export async function scrape(url, headers = {}) {
  const res = await fetch(url, { headers });
  if (!res.ok) throw new Error(`status ${res.status}`);
  const samples = new Map();
  for (const line of (await res.text()).split('\n')) {
    const found = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found) continue;
    // Labels that every sample of the other server carries do not tell samples apart.
    const labels = (found[2] ?? '').split(/,(?=[a-z_]+=)/).filter((l) => l && !/^(node_id|node_type|country)=/.test(l));
    samples.set(`${found[1]}{${labels.sort().join(',')}}`, Number(found[3]));
  }
  return samples;
}

/** Keys of `startLivekitWith`. */
export const configuredKeys = { key: 'APIe2e', secret: '0123456789abcdef0123456789abcdef' };

/**
 * The media server with LiveKit's YAML: `settings` are the lines beyond ports and keys, `rtc` more entries of that map.
 * E2E_LIVEKIT_BIN runs another server's binary on the same file, for comparing behaviours.
 */
export async function startLivekitWith(settings, rtc = '') {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'bedrud-e2e-'));
  const [port, tcp, udp] = [await freePort(), await freePort(), await freePort()];
  const { key, secret } = configuredKeys;
  const file = path.join(dataDir, 'livekit.yaml');
  await writeFile(file, `port: ${port}
bind_addresses: [127.0.0.1]
keys: {${key}: ${secret}}
rtc: {tcp_port: ${tcp}, udp_port: ${udp}, node_ip: 127.0.0.1, enable_loopback_candidate: true, ${rtc}}
${settings}
`);
  const other = process.env.E2E_LIVEKIT_BIN;
  const server = new Server({
    name: 'livekit-with',
    args: [...(other ? [] : ['livekit']), '--config', file],
    env: { BEDRUD_DATA: path.join(dataDir, 'data') },
    port,
    health: '/',
    dataDir,
  });
  Object.assign(server, { binary: other, external: Boolean(other) });
  return server.start();
}
