// A free port that is free for TCP and UDP alike: the product uses one number for both.
import net from 'node:net';
import dgram from 'node:dgram';

const bindTcp = (port) =>
  new Promise((resolve, reject) => {
    const s = net.createServer().once('error', reject);
    s.listen(port, '127.0.0.1', () => resolve(s));
  });

const bindUdp = (port) =>
  new Promise((resolve, reject) => {
    const s = dgram.createSocket('udp4').once('error', reject);
    s.bind(port, '127.0.0.1', () => resolve(s));
  });

export async function freePort() {
  for (let attempt = 0; attempt < 50; attempt++) {
    const tcp = await bindTcp(0);
    const { port } = tcp.address();
    try {
      const udp = await bindUdp(port);
      await new Promise((r) => udp.close(r));
      return port;
    } catch {
      // taken for UDP: try another
    } finally {
      await new Promise((r) => tcp.close(r));
    }
  }
  throw new Error('no port is free for both TCP and UDP');
}
