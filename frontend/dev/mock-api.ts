import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'vite';

/**
 * A stand-in for the server's HTTP API, for work on the pages alone (`npm run dev:mock`). It keeps everything in
 * memory and checks little. Any password of 12 characters signs in; the room `private-room` is private, `full-room`
 * is full, `old-room` is over, `mine-ended` is one's own and over; all other names exist.
 */
export function mockApi(): Plugin {
	return {
		name: 'bedrud-mock-api',
		configureServer(server) {
			server.middlewares.use((req, res, next) => {
				if (!req.url?.startsWith('/api/')) return next();
				void answer(req).then(({ status, body }) => send(res, status, body));
			});
		},
	};
}

type Body = Record<string, unknown>;
type Answer = { status: number; body: unknown };

const ok = (body: unknown): Answer => ({ status: 200, body });
const refuse = (status: number, error: string): Answer => ({ status, body: { error } });
const rooms = new Map<string, Body>();
for (const [name, isPublic] of [
	['weekly-planning', true],
	['design-review', false],
	['coffee', true],
] as const) {
	addRoom({ name, isPublic, maxParticipants: name === 'coffee' ? 0 : 20 });
}

function addRoom(room: Body): Body {
	const name = String(room.name || 'abc-defg-hij');
	const full = {
		id: randomUUID(),
		createdBy: 'u-me',
		adminId: 'u-me',
		isActive: true,
		isPublic: true,
		maxParticipants: 20,
		createdAt: new Date(Date.now() - 3 * 86_400_000).toISOString(),
		settings: { allowChat: true, allowVideo: true, allowAudio: true },
		mode: 'standard',
		...room,
		name,
	};
	rooms.set(name, full);
	return full;
}

function token(claims: Body): string {
	const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
	return `${part({ alg: 'none' })}.${part({ exp: Date.now() / 1000 + 86_400, ...claims })}.x`;
}

function login(id: string, name: string, email: string, provider = 'local'): Body {
	const accesses = provider === 'guest' ? ['guest'] : ['user'];
	const accessToken = token({ userId: id, name, email, provider, accesses });
	return {
		user: { id, name, email, provider, avatarUrl: '', accesses },
		tokens: { accessToken, refreshToken: accessToken },
	};
}

function claimsOf(req: IncomingMessage): Body | null {
	const part = req.headers.authorization?.split('.')[1];
	return part ? (JSON.parse(Buffer.from(part, 'base64url').toString()) as Body) : null;
}

async function answer(req: IncomingMessage): Promise<Answer> {
	const body = await readBody(req);
	const path = (req.url ?? '').split('?')[0] ?? '';
	const claims = claimsOf(req);
	const route = `${req.method} ${path}`;
	switch (route) {
		case 'GET /api/auth/settings':
			return ok({ serverName: '', registrationEnabled: true, guestLoginEnabled: true, oauthProviders: [] });
		case 'POST /api/auth/login':
			if (String(body.password).length < 12) return refuse(401, 'Invalid credentials');
			return ok(login('u-me', 'Ana Lovelace', String(body.email)));
		case 'POST /api/auth/register':
		case 'POST /api/setup':
			return ok(login('u-me', String(body.name), String(body.email)));
		case 'POST /api/auth/guest-login':
			return ok(login('guest-abcd1234', String(body.name), 'g@bedrud.guest', 'guest'));
		case 'GET /api/auth/me':
			return claims
				? ok(login(String(claims.userId), String(claims.name), String(claims.email), String(claims.provider)).user)
				: refuse(401, 'Invalid token');
		case 'POST /api/auth/refresh':
			return refuse(400, 'No refresh token provided');
		case 'POST /api/auth/logout':
			return ok({ message: 'Successfully logged out' });
		case 'GET /api/room/list':
			return ok([...rooms.values()]);
		case 'POST /api/room/create':
			return rooms.has(String(body.name)) ? refuse(409, 'a room with this name already exists') : ok(addRoom(body));
		case 'POST /api/room/join':
			return join(String(body.roomName), String(claims?.name ?? ''), String(claims?.userId ?? ''));
		case 'POST /api/room/guest-join': {
			const answered = join(String(body.roomName), String(body.guestName), 'guest-abcd1234');
			if (answered.status !== 200) return answered;
			return ok({
				...(answered.body as Body),
				tokens: login('guest-abcd1234', String(body.guestName), '', 'guest').tokens,
			});
		}
		case 'POST /api/room/refresh-token':
			return ok({ token: token({ name: claims?.name }) });
		default:
			return others(route);
	}
}

function others(route: string): Answer {
	const check = /^GET \/api\/room\/check\/(.+)$/.exec(route);
	if (check) return check[1] === 'no-such-room' ? refuse(404, 'Room not found') : ok({ exists: true, name: check[1] });
	if (route.includes('/presence')) return ok({ count: 3 });
	const del = /^DELETE \/api\/room\/(.+)$/.exec(route);
	if (del) {
		for (const [name, room] of rooms) if (room.id === del[1]) rooms.delete(name);
		return { status: 202, body: { message: 'Room deletion queued' } };
	}
	return refuse(404, 'Not Found');
}

function join(name: string, person: string, identity: string): Answer {
	if (name === 'private-room') return refuse(403, 'This room is private');
	if (name === 'full-room') return refuse(403, 'room is full');
	if (name === 'old-room') return refuse(410, 'room is no longer active');
	if (name === 'no-such-room') return refuse(404, 'Room not found');
	if (name === 'mine-ended') return ok({ status: 'archived_owned', name, mode: 'standard', settings: {} });
	const room = rooms.get(name) ?? addRoom({ name, createdBy: 'u-other', adminId: 'u-other' });
	return ok({ ...room, token: token({ sub: identity, name: person }), livekitHost: '' });
}

function readBody(req: IncomingMessage): Promise<Body> {
	return new Promise((resolve) => {
		let text = '';
		req.on('data', (chunk) => {
			text += chunk;
		});
		req.on('end', () => resolve(text ? (JSON.parse(text) as Body) : {}));
	});
}

function send(res: ServerResponse, status: number, body: unknown): void {
	res.writeHead(status, { 'Content-Type': 'application/json' });
	res.end(JSON.stringify(body));
}
