import { readText, writeText } from './safe';

/** Where a session lives: `local` survives closing the browser, `session` ends with the tab. */
export type Kept = 'local' | 'session';

const tokenKey = 'auth_at';
const flagKey = 'auth_remember';

/** The access token's place in the browser. Exactly one of the two storages holds it. */
export const tokenStore = {
	/** Null when this browser has no session, so that strangers cost the server no refresh. */
	read(): { token: string | null; kept: Kept } | null {
		const here = readText('session', tokenKey);
		if (here) return { token: here, kept: 'session' };
		const flag = readText('local', flagKey);
		if (flag === null) return null;
		return flag === 'true' ? { token: readText('local', tokenKey), kept: 'local' } : { token: null, kept: 'session' };
	},

	write(token: string, kept: Kept): void {
		writeText(kept, tokenKey, token);
		writeText(kept === 'local' ? 'session' : 'local', tokenKey, null);
		writeText('local', flagKey, String(kept === 'local'));
	},

	clear(): void {
		writeText('local', tokenKey, null);
		writeText('session', tokenKey, null);
		writeText('local', flagKey, null);
	},
};
