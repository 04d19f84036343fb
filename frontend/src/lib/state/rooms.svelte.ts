import { api } from '../api';
import { describeError, type PlainError } from '../api/errors';
import type { NewRoom, Room } from '../api/types';
import { t } from '../i18n/index.svelte';
import { toasts } from './toasts.svelte';

/** The rooms of the person who is signed in. */
export class Rooms {
	list = $state.raw<Room[]>([]);
	loading = $state(true);
	problem = $state.raw<PlainError | null>(null);

	async load(): Promise<void> {
		this.loading = true;
		this.problem = null;
		try {
			this.list = sortRooms(await api.rooms());
		} catch (error) {
			this.problem = describeError(error);
		} finally {
			this.loading = false;
		}
	}

	async create(room: NewRoom): Promise<Room> {
		const created = await api.createRoom(room);
		void this.load();
		return created;
	}

	/** Takes the room off the list at once and puts it back when the server refuses. */
	async remove(room: Room): Promise<boolean> {
		const before = this.list;
		this.list = before.filter((other) => other.id !== room.id);
		try {
			await api.deleteRoom(room.id);
			toasts.show(t('room.deleted', { name: room.name }), 'success');
			return true;
		} catch (error) {
			this.list = before;
			const plain = describeError(error);
			toasts.show(t(plain.key, plain.params), 'error');
			return false;
		}
	}
}

/** Open rooms first, then by name. */
export function sortRooms(rooms: Room[]): Room[] {
	return [...rooms].sort((a, b) => Number(b.isActive) - Number(a.isActive) || a.name.localeCompare(b.name));
}
