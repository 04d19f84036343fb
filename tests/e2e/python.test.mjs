// A browser and the Python SDK in one room: audio, video and data both ways.
import { test } from 'node:test';
import { fixture } from './lib/fixture.mjs';
import { PythonClient } from './lib/python.mjs';
import { token } from './lib/token.mjs';

const on = fixture({ browsers: { browser: { toneHz: 660 } } });

for (const mode of ['single', 'dual']) {
  test(`python (${mode} peer connection) and a browser exchange audio, video and data`, async () => {
    const room = `python-${mode}`;
    const web = await on.join('web', room);
    await web.call('publishMicrophone');
    await web.call('publishCamera');
    const py = new PythonClient(on.server.ws, await token('py', room), { hz: 880, mode });
    try {
      await py.saw('published');
      await web.seesVideo('py', 'camera', { exact: 640 });
      await web.hears('py', 880);
      await py.saw('heard', (e) => e.identity === 'web' && Math.abs(e.hz - 660) < 25 && e.rms > 50);
      await py.saw('saw', (e) => e.identity === 'web' && e.width === 1280 && e.frames > 20);
      await web.call('send', 'from the browser', { reliable: true, topic: 't' });
      await py.saw('data', (e) => e.text === 'from the browser' && e.identity === 'web' && e.topic === 't');
      py.do('send', { text: 'from python', reliable: true, topic: 't' });
      await web.until('data from python', 'messages', [], (m) => m.some((x) => x.text === 'from python' && x.from === 'py'));
      py.do('send', { text: 'lossy python', reliable: false });
      await web.until('lossy data from python', 'messages', [], (m) => m.some((x) => x.text === 'lossy python'));
      await web.call('setMicrophone', false);
      await py.saw('muted', (e) => e.identity === 'web');
      await web.call('disconnect');
      await py.saw('left', (e) => e.identity === 'web');
    } finally {
      await py.leave();
      await web.close();
    }
  });
}
