import type { Component } from 'svelte';

/** Who may see a page: `any`; `anon` sends registered people to the dashboard; `registered` sends others to sign in. */
export type Access = 'any' | 'anon' | 'registered';

export interface RouteMatch {
	route: Route;
	params: Record<string, string>;
}

// biome-ignore lint/suspicious/noExplicitAny: pages take different params; the router passes what the path holds.
type Page = Component<any>;

export interface Route {
	path: string;
	access: Access;
	load: () => Promise<{ default: Page }>;
}

export const routes: Route[] = [
	{ path: '/', access: 'any', load: () => import('../routes/home/HomePage.svelte') },
	{ path: '/auth', access: 'anon', load: () => import('../routes/auth/GuestPage.svelte') },
	{ path: '/auth/login', access: 'anon', load: () => import('../routes/auth/LoginPage.svelte') },
	{ path: '/auth/register', access: 'anon', load: () => import('../routes/auth/RegisterPage.svelte') },
	{ path: '/setup', access: 'any', load: () => import('../routes/auth/SetupPage.svelte') },
	{ path: '/dashboard', access: 'registered', load: () => import('../routes/dashboard/DashboardPage.svelte') },
	{ path: '/new', access: 'registered', load: () => import('../routes/dashboard/NewPage.svelte') },
	{ path: '/m/:meetId', access: 'any', load: () => import('../routes/meet/MeetPage.svelte') },
	{ path: '/c/:meetId', access: 'any', load: () => import('../routes/meet/MeetPage.svelte') },
];

const notFound: Route = { path: '*', access: 'any', load: () => import('../routes/NotFoundPage.svelte') };

/** Finds the route of a path; trailing slashes do not matter, `:name` takes one segment. */
export function matchRoute(pathname: string): RouteMatch {
	const segments = pathname.split('/').filter(Boolean);
	for (const route of routes) {
		const pattern = route.path.split('/').filter(Boolean);
		if (pattern.length !== segments.length) continue;
		const params: Record<string, string> = {};
		const fits = pattern.every((part, i) => {
			const value = segments[i] ?? '';
			if (!part.startsWith(':')) return part === value;
			params[part.slice(1)] = decode(value);
			return true;
		});
		if (fits) return { route, params };
	}
	return { route: notFound, params: {} };
}

function decode(segment: string): string {
	try {
		return decodeURIComponent(segment);
	} catch {
		return segment;
	}
}
