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

  test('a network without packets is told at once, and everybody is shown muted and dark until it is back', async () => {
    await ben.seesMoving('Ada');
    // A stopped process answers nothing and closes nothing, as a network that drops every packet.
    on.server.child.kill('SIGSTOP');
    try {
      await ben.until('the banner', () => ben.link('offline'), { timeout: 12_000 });
      const seen = await ben.page.evaluate(() => ({
        pressed: ['toggle-mic', 'toggle-camera'].map((id) => document.querySelector(`[data-testid="${id}"]`).getAttribute('aria-pressed')),
        tiles: [...document.querySelectorAll('[data-testid="tile"]')].map((t) => [t.dataset.micMuted, t.dataset.speaking, t.querySelectorAll('video').length, t.querySelector('[data-testid="quality"]')?.dataset.quality]),
      }));
      assert.deepEqual(seen, { pressed: ['false', 'false'], tiles: [['true', 'false', 0, 'lost'], ['true', 'false', 0, 'lost']] });
      await ben.page.screenshot({ path: path.join(outDir, 'offline.png') });
    } finally {
      on.server.child.kill('SIGCONT');
    }
    await ben.until('the banner to go', async () => !(await ben.link('offline')) && !(await ben.link('signal')) && !(await ben.link('media')) && !(await ben.link('rejoin')), { timeout: 60_000 });
    assert.equal(await ben.page.$eval('[data-testid="toggle-mic"]', (b) => b.getAttribute('aria-pressed')), 'true');
    await ben.seesMoving('Ada');
    await ada.seesMoving('Ben');
    await ada.hears(1200);
    await ben.page.setOfflineMode(true);
    const pressed = () => ben.page.$eval('[data-testid="toggle-mic"]', (b) => b.getAttribute('aria-pressed'));
    await ben.until('the word of the browser', async () => (await pressed()) === 'false' && (await ben.page.$('[data-testid="connection-banner"]')));
    await ben.page.setOfflineMode(false);
    await ben.until('the network to be back', async () => (await pressed()) === 'true', { timeout: 60_000 });
    await ben.seesMoving('Ada');
    await ada.seesMoving('Ben');
  });

  test('leaving while the call connects opens no microphone, no camera and no place in the room', async () => {
    const cat = await AppClient.open(on.right, on.server.url, { context: await on.right.createBrowserContext() });
    await cat.countDevices();
    await cat.go('/m/standup-call');
    await cat.type('name', 'Cat');
    await cat.click('guest-submit');
    await cat.click('prejoin-camera');
    await cat.until('the preview', async () => (await cat.devices()).live === 2);
    // The call connects for as long as the server says nothing.
    on.server.child.kill('SIGSTOP');
    try {
      await cat.click('prejoin-join');
      await cat.until('the connection to begin', () => cat.page.evaluate(() => window.__bedrudRoom?.state === 'connecting'));
      await cat.page.$eval('header a', (home) => home.click());
      await cat.until('another page', () => cat.page.evaluate(() => location.pathname === '/'));
      assert.equal((await cat.devices()).live, 0, 'devices are let go with the page');
    } finally {
      on.server.child.kill('SIGCONT');
    }
    // What the server does with the connection shows on another one that it takes later.
    const dan = await AppClient.open(on.right, on.server.url, { context: await on.right.createBrowserContext() });
    await dan.go('/m/standup-call');
    await dan.type('name', 'Dan');
    await dan.click('guest-submit');
    await dan.join();
    await ada.until('Dan to be there', () => ada.tile('Dan'));
    await ada.until('Cat not to be there', async () => (await ada.tile('Cat')) === null);
    assert.deepEqual(await cat.devices(), { live: 0, opened: 2 });
    await dan.close();
    await cat.close();
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

describe('what the owner of a room decides', () => {
  let access;
  const on = fixture({ start: startPlatform, page: null, browsers: { browser: { toneHz: 880 } } });

  const call = async (method, where, body, token = access) => {
    const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const answer = await fetch(on.server.url + where, { method, headers, body: body && JSON.stringify(body) });
    assert.ok(answer.ok, `${method} ${where}: ${answer.status} ${await answer.clone().text()}`);
    return answer.json();
  };

  /** A guest with a browser profile of their own, in front of the preview. */
  const guestAt = async (room) => {
    const guest = await AppClient.open(on.browser, on.server.url, { context: await on.browser.createBrowserContext() });
    await guest.go(`/m/${room}`);
    await guest.type('name', 'Gus');
    await guest.click('guest-submit');
    return guest;
  };
  const disabled = (guest, testid) => guest.page.$eval(`[data-testid="${testid}"]`, (button) => button.disabled);

  test('cameras and chat that are switched off are not offered, and come back at once', async () => {
    const account = { email: 'ada@example.com', password: PASSWORD, name: 'Ada' };
    access = (await call('POST', '/api/auth/register', account, null)).tokens.accessToken;
    const off = { allowAudio: true, allowVideo: false, allowChat: false };
    const room = await call('POST', '/api/room/create', { name: 'sound-only', isPublic: true, settings: off });
    const guest = await guestAt('sound-only');
    await guest.shown('prejoin-join');
    assert.equal(await disabled(guest, 'prejoin-camera'), true);
    assert.equal(await disabled(guest, 'prejoin-mic'), false);
    await guest.click('prejoin-join');
    await guest.shown('leave', 30_000);
    assert.equal(await disabled(guest, 'toggle-camera'), true);
    await guest.click('toggle-chat');
    await guest.shown('room');
    assert.equal(await guest.page.$('[data-testid="chat-input"]'), null);
    // Nor does the server take it from a page that offers it all the same.
    const published = () => guest.page.evaluate(() => window.__bedrudRoom.localParticipant.setCameraEnabled(true).then(() => true, () => false));
    assert.equal(await published(), false);

    await call('PUT', `/api/room/${room.id}/settings`, { settings: { ...off, allowVideo: true, allowChat: true } });
    await guest.shown('chat-input');
    await guest.click('toggle-camera');
    await guest.until('the camera to be on', () => guest.page.evaluate(() => window.__bedrudRoom.localParticipant.isCameraEnabled));
    await call('PUT', `/api/room/${room.id}/settings`, { settings: off });
    await guest.until('the camera to be off', () => guest.page.evaluate(() => !window.__bedrudRoom.localParticipant.isCameraEnabled));
    await guest.until('the button to be out of use', () => disabled(guest, 'toggle-camera'));
    await guest.close();
  });

  test('an ended room says so to a guest and opens again as it was', async () => {
    const room = await call('POST', '/api/room/create', { name: 'small-circle', isPublic: false, maxParticipants: 3 });
    await call('DELETE', `/api/room/${room.id}`);
    const guest = await guestAt('small-circle');
    await guest.shown('join-refused');
    assert.match(await guest.text('join-refused'), /This meeting is over/);
    await guest.close();

    const owner = await AppClient.open(on.browser, on.server.url, { context: await on.browser.createBrowserContext() });
    await owner.go('/auth/login?redirect=%2Fm%2Fsmall-circle');
    await owner.type('email', 'ada@example.com');
    await owner.type('password', PASSWORD);
    await owner.click('login-submit');
    await owner.click('reopen');
    await owner.shown('prejoin-join');
    const again = (await call('GET', '/api/room/list')).find((r) => r.name === 'small-circle');
    assert.deepEqual([again.id, again.isActive, again.isPublic, again.maxParticipants], [room.id, true, false, 3]);
    await owner.close();
  });
});
