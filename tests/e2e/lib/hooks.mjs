// A receiver of webhooks that checks them with the unmodified server SDK.
import http from 'node:http';
import { WebhookReceiver } from 'livekit-server-sdk';
import { until } from './until.mjs';

export class Hooks {
  /** `answer(event)` gives the status; 200 by default. */
  static async start({ key, secret }, answer = () => 200) {
    const hooks = new Hooks();
    const verifier = new WebhookReceiver(key, secret);
    hooks.answer = answer;
    hooks.server = http.createServer(async (req, res) => {
      let body = '';
      for await (const part of req) body += part;
      try {
        const event = await verifier.receive(body, req.headers.authorization);
        const raw = JSON.parse(body);
        const status = hooks.answer(raw);
        (status === 200 ? hooks.taken : hooks.refused).push({ event, raw, headers: req.headers });
        res.writeHead(status).end();
      } catch (e) {
        hooks.errors.push(`${e.message}: ${req.headers.authorization} ${body}`);
        res.writeHead(401).end();
      }
    });
    await new Promise((r) => hooks.server.listen(0, '127.0.0.1', r));
    hooks.url = `http://127.0.0.1:${hooks.server.address().port}/hook`;
    return hooks;
  }

  taken = [];
  refused = [];
  errors = [];

  of(room, list = this.taken) {
    return list.filter((hit) => hit.raw.room?.name === room);
  }

  names(room) {
    return this.of(room).map((hit) => hit.raw.event);
  }

  /** Waits until this event of the room has arrived and returns it. */
  async saw(room, name, opts) {
    try {
      return await until(`${name} of ${room} arrives`, () => this.of(room).find((hit) => hit.raw.event === name), opts);
    } catch (e) {
      throw new Error(`${e.message}\ntaken: ${this.names(room)}\nerrors: ${this.errors.join('\n')}`);
    }
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((r) => this.server.close(r));
  }
}
