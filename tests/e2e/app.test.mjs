// Two people meet in the embedded web app: account, room, guest by link; then the server dies and comes back.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { AppClient } from './lib/appclient.mjs';
import { fixture } from './lib/fixture.mjs';
import { outDir, startPlatform } from './lib/server.mjs';

const PASSWORD = 'correct horse battery staple';

describe('a meeting in the web app', () => {
  let ada;
  let ben;
  const on = fixture({
    start: startPlatform,
    page: null,
    // Two browsers, so that each has a microphone of its own.
    browsers: { left: { toneHz: 660 }, right: { toneHz: 1200 } },
    ready: async ({ server, left, right }) => {
      ada = await AppClient.open(left, server.url);
      ben = await AppClient.open(right, server.url);
    },
  });

  test('an account, a room and a guest by link', async () => {
    await ada.register('Ada', 'ada@example.com', PASSWORD);
    const link = await ada.createRoom('standup-call');
    await ada.enter(link);
    await ben.go(link);
    await ben.type('name', 'Ben');
    await ben.click('guest-submit');
    await ben.join();
  });

  test('both see moving video and hear each other', async () => {
    await ada.seesMoving('Ben');
    await ben.seesMoving('Ada');
    await ada.hears(1200);
    await ben.hears(660);
  });

  test('the one who speaks is marked', async () => {
    await ben.until('Ada to be shown speaking', async () => (await ben.tile('Ada'))?.speaking === 'true');
  });

  test('chat goes both ways', async () => {
    for (const [from, to, text] of [[ada, ben, 'good morning'], [ben, ada, 'hello Ada']]) {
      if (!(await from.page.$('[data-testid="chat-input"]'))) await from.click('toggle-chat');
      await from.type('chat-input', text);
      await from.click('chat-send');
      if (!(await to.page.$('[data-testid="chat-input"]'))) await to.click('toggle-chat');
      await to.until(`"${text}" to arrive`, () => to.page.$$eval('[data-testid="chat-message"]', (all, t) => all.some((m) => m.textContent.includes(t)), text));
    }
  });

  test('mute shows on the other side', async () => {
    await ada.click('toggle-mic');
    await ben.until('Ada to be shown muted', async () => (await ben.tile('Ada'))?.micMuted === 'true');
    await ada.click('toggle-mic');
    await ben.until('Ada to be shown unmuted', async () => (await ben.tile('Ada'))?.micMuted === 'false');
    await ben.hears(660);
  });

  test('a camera switched off gives way to an avatar and comes back', async () => {
    await ben.click('toggle-camera');
    await ada.until('the picture to go', async () => (await ada.tile('Ben'))?.width === 0);
    await ben.click('toggle-camera');
    await ada.seesMoving('Ben');
  });

  test('a screen share is shown and ends', async () => {
    await ben.click('toggle-screen');
    await ada.seesMoving('Ben', 'screen_share', 300);
    await ada.page.screenshot({ path: path.join(outDir, 'screen-share.png') });
    await ben.click('toggle-screen');
    await ada.until('the screen share to end', async () => (await ada.tile('Ben', 'screen_share')) === null);
  });

  test('the meeting looks right', async () => {
    await ada.seesMoving('Ben');
    await ada.page.screenshot({ path: path.join(outDir, 'meeting.png') });
  });

  test('no request goes to anybody else', () => {
    assert.deepEqual([...ada.foreign, ...ben.foreign], []);
  });

  test('a killed server comes back with accounts, rooms and everybody in the call', async () => {
    await on.server.kill('SIGKILL');
    await ada.shown('connection-banner', 30_000);
    await on.server.start();
    for (const [person, other] of [[ada, 'Ben'], [ben, 'Ada']]) {
      await person.until('the call to be back', () => person.page.evaluate(() => window.__bedrudRoom?.state === 'connected'), { timeout: 60_000 });
      await person.seesMoving(other);
    }
    const again = await AppClient.open(on.right, on.server.url, { context: await on.right.createBrowserContext() });
    await again.go('/auth/login');
    await again.type('email', 'ada@example.com');
    await again.type('password', PASSWORD);
    await again.click('login-submit');
    await again.until('the room to be listed', () => again.page.evaluate(() => document.body.textContent.includes('standup-call')));
    await again.close();
  });

  test('leaving ends it for the one who leaves', async () => {
    await ben.click('leave');
    await ben.until('Ben to be out', () => ben.page.evaluate(() => !document.querySelector('[data-testid="leave"]')));
    await ada.until('Ben to be gone', async () => (await ada.tile('Ben')) === null);
  });
});
