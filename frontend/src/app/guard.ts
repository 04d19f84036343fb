import { safeRedirect } from '../lib/redirect';
import { session } from '../lib/state/session.svelte';
import type { Access } from './routes';

/** Where to send a visitor who may not see a page, or null. Reads the session, so it re-runs when that changes. */
export function guard(access: Access, place: { pathname: string; search: string }): string | null {
	if (access === 'anon' && session.registered) {
		return safeRedirect(new URLSearchParams(place.search).get('redirect'), '/dashboard');
	}
	if (access === 'registered' && !session.registered) {
		if (session.guest) return '/';
		return `/auth/login?redirect=${encodeURIComponent(place.pathname + place.search)}`;
	}
	return null;
}
