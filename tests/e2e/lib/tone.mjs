// A WAV file for the fake microphone: short beeps, because a steady tone is what noise suppression removes.
import { writeFile } from 'node:fs/promises';

export async function writeTone(file, hz, { seconds = 4, rate = 48_000 } = {}) {
  const n = seconds * rate;
  const data = Buffer.alloc(44 + n * 2);
  data.write('RIFF', 0);
  data.writeUInt32LE(36 + n * 2, 4);
  data.write('WAVEfmt ', 8);
  data.writeUInt32LE(16, 16);
  data.writeUInt16LE(1, 20);
  data.writeUInt16LE(1, 22);
  data.writeUInt32LE(rate, 24);
  data.writeUInt32LE(rate * 2, 28);
  data.writeUInt16LE(2, 32);
  data.writeUInt16LE(16, 34);
  data.write('data', 36);
  data.writeUInt32LE(n * 2, 40);
  for (let i = 0; i < n; i++) {
    const t = i / rate;
    const on = t % 0.5 < 0.3;
    data.writeInt16LE(on ? Math.round(Math.sin(2 * Math.PI * hz * t) * 16_000) : 0, 44 + i * 2);
  }
  await writeFile(file, data);
  return file;
}
