// A TCP connection that can be pulled: clients reach the server through it.
import net from 'node:net';

export async function cable(server) {
  const open = new Set();
  const proxy = net.createServer((inner) => {
    const outer = net.connect(server.port ?? new URL(server.url).port, '127.0.0.1');
    for (const [from, to] of [[inner, outer], [outer, inner]]) {
      open.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => (open.delete(from), to.destroy()));
    }
  });
  await new Promise((r) => proxy.listen(0, '127.0.0.1', r));
  /** Ends every connection without a goodbye. */
  const pull = () => [...open].forEach((socket) => socket.resetAndDestroy());
  return {
    ws: `ws://127.0.0.1:${proxy.address().port}`,
    pull,
    close: () => (pull(), new Promise((r) => proxy.close(r))),
  };
}
