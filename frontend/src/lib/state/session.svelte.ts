import { api, type RefreshAnswer } from '../api';
import { ApiError, useAuth } from '../api/client';
import { isGuest, readClaims } from '../api/jwt';
import type { LoginResponse, Tokens, User } from '../api/types';
import { type Kept, tokenStore } from '../storage/tokens';

/** A stored token with less than this left is refreshed at start instead of used. */
const freshSeconds = 300;

/** Who is signed in. Tokens never reach components; they live here and in one of the two browser storages. */
class Session {
	user = $state.raw<User | null>(null);
	/** True once the start-up check is done; guarded pages wait for it. */
	ready = $state(false);
	readonly guest = $derived(
		this.user !== null && (this.user.provider === 'guest' || this.user.id.startsWith('guest-')),
	);
	readonly registered = $derived(this.user !== null && !this.guest);

	#access: string | null = null;
	#refresh: string | undefined;
	/** The refresh token came with a guest's join answer and is in no cookie. */
	#byLink = false;
	#kept: Kept = 'local';
	#refreshing: Promise<boolean> | null = null;
	#started: Promise<void> | null = null;
	onexpired: () => void = () => {};

	constructor() {
		useAuth({
			token: () => this.#access,
			refresh: () => this.refresh(),
			expired: () => {
				this.#clear();
				this.onexpired();
			},
		});
	}

	get hasToken(): boolean {
		return this.#access !== null;
	}

	start(): Promise<void> {
		this.#started ??= this.#restore().finally(() => {
			this.ready = true;
		});
		return this.#started;
	}

	async #restore(): Promise<void> {
		const stored = tokenStore.read();
		if (!stored) return;
		this.#kept = stored.kept;
		const claims = stored.token ? readClaims(stored.token) : null;
		const left = (claims?.exp ?? 0) - Date.now() / 1000;
		if (stored.token && claims && left > freshSeconds) {
			this.#access = stored.token;
			if (await this.#loadUser()) return;
		}
		if (!(await this.refresh())) this.#clear();
	}

	async #loadUser(): Promise<boolean> {
		const claims = this.#access ? readClaims(this.#access) : null;
		if (!claims) return false;
		try {
			this.user = await api.me();
			return true;
		} catch (error) {
			// A person who joined by link has no account to ask for; the token itself names them.
			if (!isGuest(claims) || isUnauthorized(error)) return false;
			this.user = fromClaims(this.#access);
			return this.user !== null;
		}
	}

	/** One refresh for all who ask at the same time. */
	refresh(): Promise<boolean> {
		this.#refreshing ??= this.#doRefresh().finally(() => {
			this.#refreshing = null;
		});
		return this.#refreshing;
	}

	async #doRefresh(): Promise<boolean> {
		try {
			const answer = await oneTabAtATime(() => this.#exchange());
			this.#keep({ accessToken: answer.access_token, refreshToken: answer.refresh_token }, this.#kept);
		} catch {
			return false;
		}
		return this.user !== null || this.#loadUser();
	}

	/**
	 * Tabs share the cookie, and a refresh token that is used twice ends the session: another tab may have exchanged the one
	 * that this tab remembers. Only guests by link have no cookie.
	 */
	async #exchange(): Promise<RefreshAnswer> {
		if (this.#byLink && this.#refresh) return api.refresh(this.#refresh);
		try {
			return await api.refresh();
		} catch (error) {
			if (!(error instanceof ApiError)) throw error;
			if (error.status === 400 && this.#refresh) return api.refresh(this.#refresh);
			if (error.status !== 409) throw error;
			// A tab without locks was faster; its cookie is on the way.
			await new Promise((resolve) => setTimeout(resolve, 500));
			return api.refresh();
		}
	}

	signedIn(answer: LoginResponse, kept: Kept): void {
		this.#byLink = false;
		this.#keep(answer.tokens, kept);
		this.user = answer.user;
	}

	/** Takes over the token pair of a guest's join answer, for this tab only. */
	adoptGuest(tokens: Tokens): void {
		this.#byLink = true;
		this.#keep(tokens, 'session');
		this.user = fromClaims(tokens.accessToken);
	}

	async signOut(): Promise<void> {
		if (this.#access) await api.logout(this.#refresh).catch(() => {});
		this.#clear();
	}

	/** Forgets the session without telling the server, when the server has already ended it. */
	forget(): void {
		this.#clear();
	}

	#keep(tokens: Tokens, kept: Kept): void {
		this.#access = tokens.accessToken;
		this.#refresh = tokens.refreshToken || undefined;
		this.#kept = kept;
		tokenStore.write(tokens.accessToken, kept);
	}

	#clear(): void {
		this.#access = null;
		this.#refresh = undefined;
		this.#byLink = false;
		this.user = null;
		tokenStore.clear();
	}
}

/** Locks exist on secure pages only; elsewhere the server tells the slower tab. */
async function oneTabAtATime<T>(work: () => Promise<T>): Promise<T> {
	return navigator.locks ? await navigator.locks.request('bedrud-refresh', work) : await work();
}

function isUnauthorized(error: unknown): boolean {
	return (error as { status?: number }).status === 401;
}

function fromClaims(token: string | null): User | null {
	const claims = token ? readClaims(token) : null;
	if (!claims) return null;
	return {
		id: claims.userId,
		email: claims.email ?? '',
		name: claims.name ?? '',
		provider: claims.provider ?? 'guest',
		avatarUrl: '',
		accesses: claims.accesses ?? ['guest'],
	};
}

export const session = new Session();
