import { request } from './client';
import type {
	ArchivedOwned,
	JoinResponse,
	LoginResponse,
	NewRoom,
	PublicSettings,
	Room,
	User,
	VerificationRequired,
} from './types';

export interface RefreshAnswer {
	access_token: string;
	refresh_token: string;
}

/** One function per endpoint, grouped as the server groups them. */
export const api = {
	settings: () => request<PublicSettings>('GET', '/api/auth/settings', { anonymous: true }),

	login: (email: string, password: string) =>
		request<LoginResponse>('POST', '/api/auth/login', { anonymous: true, body: { email, password } }),
	register: (body: { name: string; email: string; password: string; inviteToken?: string }) =>
		request<LoginResponse | VerificationRequired>('POST', '/api/auth/register', { anonymous: true, body }),
	setup: (body: { token: string; name: string; email: string; password: string }) =>
		request<LoginResponse>('POST', '/api/setup', { anonymous: true, body }),
	guestLogin: (name: string) =>
		request<LoginResponse>('POST', '/api/auth/guest-login', { anonymous: true, body: { name } }),
	refresh: (refreshToken?: string) =>
		request<RefreshAnswer>('POST', '/api/auth/refresh', {
			anonymous: true,
			body: refreshToken ? { refresh_token: refreshToken } : undefined,
		}),
	logout: (refreshToken?: string) =>
		request<unknown>('POST', '/api/auth/logout', {
			noRefresh: true,
			body: refreshToken ? { refresh_token: refreshToken } : {},
		}),
	me: () => request<User>('GET', '/api/auth/me', { noRefresh: true }),

	rooms: () => request<Room[]>('GET', '/api/room/list'),
	checkRoom: (name: string) =>
		request<{ exists: boolean; name: string }>('GET', `/api/room/check/${encodeURIComponent(name)}`, {
			anonymous: true,
		}),
	createRoom: (room: NewRoom) => request<Room>('POST', '/api/room/create', { body: room }),
	deleteRoom: (id: string) => request<unknown>('DELETE', `/api/room/${encodeURIComponent(id)}`),
	/** Opens an ended room with everything as it was. */
	reopenRoom: (id: string) => request<Room>('POST', `/api/room/${encodeURIComponent(id)}/reopen`),
	joinRoom: (roomName: string) =>
		request<JoinResponse | ArchivedOwned>('POST', '/api/room/join', { body: { roomName } }),
	guestJoin: (roomName: string, guestName: string) =>
		request<JoinResponse>('POST', '/api/room/guest-join', { anonymous: true, body: { roomName, guestName } }),
	refreshMediaToken: (roomName: string) =>
		request<{ token: string }>('POST', '/api/room/refresh-token', { body: { roomName } }),
	presenceCount: (roomId: string) =>
		request<{ count: number }>('GET', `/api/room/${encodeURIComponent(roomId)}/presence?countOnly=1`),
};
