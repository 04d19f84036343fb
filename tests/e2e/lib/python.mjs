// Participants in Python as child processes.
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from './until.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
export const python = process.env.E2E_PYTHON ?? path.resolve(here, '../../../.venv/bin/python');
/** Environment of a Python process that leaves no files behind. */
export const tidy = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };

class PythonProcess {
  constructor(script, args) {
    this.events = [];
    this.errors = '';
    this.child = spawn(python, [path.join(here, '../py', script), ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: tidy });
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.events.push(JSON.parse(line));
    });
    this.child.stderr.on('data', (d) => (this.errors = (this.errors + d).slice(-8000)));
    this.exited = new Promise((r) => this.child.once('exit', r));
  }

  /** Waits for an event of this kind, from now or earlier, that `accept` likes. */
  async saw(kind, accept = () => true, opts) {
    try {
      return await until(`python reports ${kind}`, () => this.events.findLast((e) => e.event === kind && accept(e)), opts);
    } catch (e) {
      throw new Error(`${e.message}\nevents: ${JSON.stringify(this.events.slice(-20))}\nstderr: ${this.errors}`);
    }
  }

  do(command, fields = {}) {
    this.child.stdin.write(`${JSON.stringify({ do: command, ...fields })}\n`);
  }

  async leave() {
    this.do('leave');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 8000);
    await this.exited;
    clearTimeout(timer);
  }
}

/** A participant on the Python SDK. */
export class PythonClient extends PythonProcess {
  constructor(url, token, { hz = 880, mode = 'single' } = {}) {
    super('participant.py', [url, token, String(hz), mode]);
  }
}

/** A WHIP publisher or WHEP player on aiortc: `role` is `publish` or `play`. */
export class AiortcClient extends PythonProcess {
  constructor(role, address, token, { hz = 880 } = {}) {
    super('one_shot.py', [role, address, token, String(hz)]);
  }
}
