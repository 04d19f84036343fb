/** The claims of an access token that the app reads. The signature is the server's business. */
export interface Claims {
	userId: string;
	name?: string;
	email?: string;
	provider?: string;
	accesses?: string[];
	/** Seconds since 1970. */
	exp?: number;
}

export function readClaims(token: string): Claims | null {
	const part = token.split('.')[1];
	if (!part) return null;
	try {
		const base64 = part.replace(/-/g, '+').replace(/_/g, '/');
		const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
		const claims = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Claims>;
		return typeof claims.userId === 'string' ? (claims as Claims) : null;
	} catch {
		return null;
	}
}

export function isGuest(claims: Claims): boolean {
	return claims.provider === 'guest' || claims.userId.startsWith('guest-') || (claims.accesses ?? []).includes('guest');
}
