// Participants as child processes, most of them in Python.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from './until.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
export const python = process.env.E2E_PYTHON ?? path.resolve(here, '../../../.venv/bin/python');
/** The system's own Python: GStreamer's bindings come with the distribution. */
const systemPython = process.env.E2E_GST_PYTHON ?? '/usr/bin/python3';
/** Environment of a Python process that leaves no files behind. */
export const tidy = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };

class PythonProcess {
  constructor(script, args, interpreter = python) {
    this.events = [];
    this.errors = '';
    this.child = spawn(interpreter, [path.join(here, '../py', script), ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: tidy });
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

/** A participant on the Python SDK that only receives, and counts what it does receive. */
export class PythonSubscriber extends PythonProcess {
  constructor(url, token, mode) {
    super('subscriber.py', [url, token, mode]);
  }

  /** Loud blocks of audio and frames of video so far. */
  async counts() {
    const before = this.events.length;
    this.do('count');
    return until('python counts', () => this.events.slice(before).findLast((e) => e.event === 'counted'));
  }

  /** Asks for tracks and gives them up `times` times at random, and ends with all of them or none. */
  async toggle(times, end, seed) {
    const before = this.events.length;
    this.do('toggle', { times, end, seed });
    return until('python is done', () => this.events.slice(before).find((e) => e.event === 'toggled'), { timeout: 120_000 });
  }
}

/** A WHIP publisher or WHEP player on aiortc: `role` is `publish` or `play`. */
export class AiortcClient extends PythonProcess {
  constructor(role, address, token, { hz = 880 } = {}) {
    super('one_shot.py', [role, address, token, String(hz)]);
  }
}

/** The same on GStreamer's webrtcbin, which has an RSA certificate. With `trickle` no candidate is in the offer. */
export class GstClient extends PythonProcess {
  constructor(role, address, token, { hz = 880, codec = 'vp8', trickle = false } = {}) {
    super('gst_one_shot.py', [role, address, token, String(hz), codec, trickle ? 'trickle' : 'gather'], systemPython);
  }
}

/** FFmpeg's WHIP muxer; `part` is the one it takes in DTLS, `profile` that of its H.264. */
export class FfmpegClient extends PythonProcess {
  constructor(address, token, { hz = 880, part = 'passive', profile = 'baseline' } = {}) {
    super('ffmpeg_whip.py', [address, token, String(hz), part, profile]);
  }
}

/** OBS Studio's WHIP output, on the same stack. */
export class ObsClient extends PythonProcess {
  constructor(address, token, { hz = 880 } = {}) {
    super('../node/obs.mjs', [address, token, String(hz)], process.execPath);
  }
}

/** Encoded pictures and sound: `[{ kind, ms, data }]` in order of time, and how long they last. */
export async function encodedMedia(hz) {
  const dir = await mkdtemp(path.join(tmpdir(), 'bedrud-media-'));
  try {
    const file = path.join(dir, 'media');
    await promisify(execFile)(python, [path.join(here, '../py/encode.py'), file, String(hz)]);
    const bytes = await readFile(file);
    const units = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 9 + bytes.readUInt32BE(at + 5);
      units.push({ kind: bytes[at] === 0x76 ? 'video' : 'audio', ms: bytes.readUInt32BE(at + 1), data: bytes.subarray(at + 9, end) });
      at = end;
    }
    return { units, ms: 8000 };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
