// Access tokens signed by the unmodified server SDK.
import { AccessToken } from 'livekit-server-sdk';

export const devKeys = { key: 'devkey', secret: 'secret' };

export async function token(identity, room, grant = {}, { key, secret } = devKeys) {
  const t = new AccessToken(key, secret, { identity, name: `${identity} name`, ttl: '10m' });
  t.addGrant({ roomJoin: true, room, canPublish: true, canSubscribe: true, canPublishData: true, ...grant });
  return t.toJwt();
}
