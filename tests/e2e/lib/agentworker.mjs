// A worker of LiveKit's Python agents framework as a child process, with all its job processes in one group.
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { tidy } from './python.mjs';
import { until } from './until.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const python = process.env.E2E_AGENTS_PYTHON ?? path.resolve(here, '../../../.venv-agents/bin/python');

export class AgentWorker {
  /** Starts a worker and waits until the server knows it. */
  static async start(url, { name = '', type = 'room' } = {}) {
    const worker = new AgentWorker(url, name, type);
    try {
      await worker.saw('registered', () => true, { timeout: 90_000 });
    } catch (e) {
      await worker.kill();
      throw e;
    }
    return worker;
  }

  constructor(url, name, type) {
    this.events = [];
    this.errors = '';
    this.child = spawn(python, [path.join(here, '../py/agent.py'), url, name, type], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: tidy,
    });
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.events.push(JSON.parse(line));
    });
    this.child.stderr.on('data', (d) => (this.errors = (this.errors + d).slice(-8000)));
    this.exited = new Promise((r) => this.child.once('exit', r));
  }

  /** Waits for an event of this kind, from now or earlier, that `accept` likes. */
  async saw(kind, accept = () => true, opts = { timeout: 45_000 }) {
    try {
      return await until(`the agent worker reports ${kind}`, () => this.events.find((e) => e.event === kind && accept(e)), opts);
    } catch (e) {
      throw new Error(`${e.message}\nevents: ${JSON.stringify(this.events.slice(-20))}\nstderr: ${this.errors}`);
    }
  }

  /** Ends the worker and its jobs without any goodbye. */
  async kill() {
    try {
      process.kill(-this.child.pid, 'SIGKILL');
    } catch {
      // already gone
    }
    await this.exited;
  }
}
