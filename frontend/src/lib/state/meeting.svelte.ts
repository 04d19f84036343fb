import { api } from '../api';
import { describeError, joinProblem, type PlainError } from '../api/errors';
import type { ArchivedOwned, JoinResponse } from '../api/types';
import { type EndReason, type MeetEvent, type MeetState, start, transition } from '../room/machine';
import { rememberRoom } from '../storage/recent';
import type { CallState, EnterOptions } from './call.svelte';
import { Devices } from './devices.svelte';
import { Preview } from './preview.svelte';
import { session } from './session.svelte';

/** A media token older than this is renewed before it is used, because people stay in front of the preview. */
const tokenFreshMs = 45 * 60_000;

/** The page of one meeting, from the link to the end. The call itself is loaded only when it is needed. */
export class Meeting {
	state = $state.raw<MeetState>(start);
	call = $state.raw<CallState | null>(null);
	/** What the guest's name form has to say. */
	nameProblem = $state.raw<PlainError | null>(null);
	/** How long somebody who tried too often has to wait. */
	wait = $state.raw<PlainError | null>(null);
	/** Why entering failed, shown in front of the preview. */
	enterFailed = $state(false);
	readonly devices = new Devices();
	readonly preview = new Preview(this.devices);
	#joinedAt = 0;
	/** The page is gone: whatever is still on its way must not open a device or a call. */
	#disposed = false;
	/** The call while it connects. */
	#entering: CallState | null = null;

	constructor(readonly roomName: string) {}

	async begin(): Promise<void> {
		await session.start();
		this.#send({ type: 'session', signedIn: session.hasToken });
		if (this.state.at === 'joining') await this.#join();
	}

	async joinAsGuest(name: string): Promise<void> {
		this.nameProblem = null;
		this.#send({ type: 'submit' });
		try {
			const room = await api.guestJoin(this.roomName, name);
			this.#joined(room);
			const tokens = room.tokens ?? pair(room);
			if (tokens) session.adoptGuest(tokens);
		} catch (error) {
			this.nameProblem = describeError(error);
			this.#send({ type: 'refused', problem: joinProblem(error), guest: true });
		}
	}

	async #join(): Promise<void> {
		try {
			const answer = await api.joinRoom(this.roomName);
			if ('status' in answer) this.#send({ type: 'archived', archived: answer });
			else this.#joined(answer);
		} catch (error) {
			const problem = joinProblem(error);
			this.wait = problem === 'busy' ? describeError(error) : null;
			// The session ended meanwhile: a guest link still works, so ask for a name instead of failing.
			if (problem === 'signed-out') session.forget();
			this.#send({ type: 'refused', problem, guest: false });
		}
	}

	#joined(room: JoinResponse): void {
		if (this.#disposed) return;
		this.#joinedAt = Date.now();
		rememberRoom(room.name);
		this.#send({ type: 'joined', room });
		this.preview.allow({ audio: room.settings?.allowAudio !== false, video: room.settings?.allowVideo !== false });
		void this.preview.start();
		// Everything the call needs comes while the person looks at the preview.
		void import('./call.svelte').catch(() => {});
	}

	/** Opens an ended room of the person again, as it was. */
	async reopen(archived: ArchivedOwned): Promise<void> {
		this.#send({ type: 'submit' });
		try {
			await api.reopenRoom(archived.id);
		} catch (error) {
			this.#send({ type: 'refused', problem: joinProblem(error), guest: false });
			return;
		}
		await this.#join();
	}

	async enter(options: EnterOptions): Promise<void> {
		if (this.state.at !== 'prejoin') return;
		const { room } = this.state;
		this.enterFailed = false;
		this.#send({ type: 'enter' });
		let call: CallState | null = null;
		try {
			const [{ CallState }, token] = await Promise.all([import('./call.svelte'), this.#freshToken(room)]);
			if (this.#disposed) return;
			call = this.#entering = new CallState({ ...room, token }, this.devices);
			call.onended = (reason) => this.#ended(reason);
			await call.enter(options);
			this.call = call;
			this.#send({ type: 'connected' });
		} catch {
			call?.dispose();
			this.enterFailed = true;
			this.#send({ type: 'connect-failed' });
			return;
		} finally {
			this.#entering = null;
		}
		await call.media.start(options);
		// Only now: a camera that was let go and opened again would flicker, or be taken by somebody else.
		this.preview.dispose();
	}

	async #freshToken(room: JoinResponse): Promise<string> {
		if (Date.now() - this.#joinedAt < tokenFreshMs) return room.token;
		return (await api.refreshMediaToken(room.name)).token;
	}

	/** Ends the meeting for everybody; the server tells all, including us. */
	async endForAll(): Promise<void> {
		if (!this.call) return;
		await api.deleteRoom(this.call.info.id);
		await this.call.leave();
	}

	#ended(reason: EndReason): void {
		this.#send({ type: 'ended', reason });
		this.call?.dispose();
		this.call = null;
		if (reason === 'account-deleted') session.forget();
	}

	dispose(): void {
		this.#disposed = true;
		this.#entering?.dispose();
		this.call?.dispose();
		this.preview.dispose();
		this.devices.dispose();
	}

	#send(event: MeetEvent): void {
		this.state = transition(this.state, event);
	}
}

function pair(room: JoinResponse) {
	return room.accessToken ? { accessToken: room.accessToken, refreshToken: room.refreshToken ?? '' } : null;
}
