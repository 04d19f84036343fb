import { readJson, writeJson, writeText } from './safe';

export interface RecentRoom {
	name: string;
	/** Milliseconds since 1970. */
	joinedAt: number;
}

const key = 'bedrud-recent-rooms';
const most = 20;

export function recentRooms(): RecentRoom[] {
	const list = readJson<unknown>('local', key, []);
	if (!Array.isArray(list)) return [];
	return list.filter((r): r is RecentRoom => typeof r?.name === 'string' && typeof r?.joinedAt === 'number');
}

export function rememberRoom(name: string): void {
	const others = recentRooms().filter((room) => room.name !== name);
	writeJson('local', key, [{ name, joinedAt: Date.now() }, ...others].slice(0, most));
}

export function forgetRoom(name: string): void {
	writeJson(
		'local',
		key,
		recentRooms().filter((room) => room.name !== name),
	);
}

export function forgetAllRooms(): void {
	writeText('local', key, null);
}
