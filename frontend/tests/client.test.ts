import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ApiError, request, useAuth } from '../src/lib/api/client';

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) =>
	new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers });

function server(...answers: Response[]) {
	const fetch = vi.fn(async () => answers.shift() ?? answer(500, {}));
	vi.stubGlobal('fetch', fetch);
	return fetch;
}

const source = (token: string | null, refresh = async () => false) => {
	const expired = vi.fn();
	useAuth({ token: () => token, refresh, expired });
	return expired;
};

const failure = (call: Promise<unknown>) =>
	call.then(
		() => null,
		(error: ApiError) => error,
	);

afterEach(() => vi.unstubAllGlobals());

describe('a request', () => {
	it('carries the token, and none when it is anonymous', async () => {
		source('abc');
		const fetch = server(answer(200, { ok: 1 }), answer(200, {}));
		expect(await request('GET', '/api/x')).toEqual({ ok: 1 });
		await request('POST', '/api/y', { anonymous: true, body: { a: 1 } });
		const headers = fetch.mock.calls.map((call) => (call as unknown as [string, RequestInit])[1].headers);
		expect(headers[0]).toMatchObject({ Authorization: 'Bearer abc' });
		expect(headers[1]).not.toHaveProperty('Authorization');
		expect(headers[1]).toMatchObject({ 'Content-Type': 'application/json' });
	});

	it('is sent again once after the token has been refreshed', async () => {
		const refresh = vi.fn(async () => true);
		const expired = source('old', refresh);
		const fetch = server(answer(401, { error: 'Invalid token' }), answer(200, { done: true }));
		expect(await request('GET', '/api/x')).toEqual({ done: true });
		expect([refresh.mock.calls.length, fetch.mock.calls.length, expired.mock.calls.length]).toEqual([1, 2, 0]);
	});

	it('ends the session when the refresh fails', async () => {
		const expired = source('old');
		server(answer(401, { error: 'Invalid token' }));
		expect((await failure(request('GET', '/api/x')))?.status).toBe(401);
		expect(expired).toHaveBeenCalledOnce();
	});

	it('takes a 401 without a token as an answer: a wrong password ends no session', async () => {
		const expired = source('abc');
		server(answer(401, { error: 'Invalid credentials' }));
		const error = await failure(request('POST', '/api/auth/login', { anonymous: true, body: {} }));
		expect(error?.message).toBe('Invalid credentials');
		expect(expired).not.toHaveBeenCalled();
	});

	it('reads error, message or a short plain text, and the time to wait', async () => {
		source(null);
		server(
			answer(400, { message: 'm' }),
			answer(413, 'Request Entity Too Large'),
			answer(502, '<html>Bad Gateway</html>'),
			answer(429, { error: 'e' }, { 'Retry-After': '7' }),
		);
		const errors = [];
		for (let i = 0; i < 4; i++) errors.push(await failure(request('GET', '/api/x')));
		expect(errors.map((error) => error?.message)).toEqual(['m', 'Request Entity Too Large', '', 'e']);
		expect(errors[3]?.retryAfter).toBe(7);
	});

	it('is a network error of status 0 when no answer comes', async () => {
		source(null);
		vi.stubGlobal('fetch', async () => {
			throw new TypeError('Failed to fetch');
		});
		expect((await failure(request('GET', '/api/x')))?.status).toBe(0);
	});
});
