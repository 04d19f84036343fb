import { type Room, Track } from 'livekit-client';
import { isStageRequest, type Stage, stageClear, stageSet, stageState } from '../wire/stage';

const greetAfterMs = 800;

/** Tells other Bedrud clients on topic `stage` that our screen share is on; they show a share only when told. */
export class StageVoice {
	#stage: Stage | null = null;

	constructor(
		private readonly room: Room,
		private readonly send: (payload: Uint8Array) => Promise<void>,
	) {}

	/** To be called whenever our share may have started or ended. */
	changed(): void {
		const me = this.room.localParticipant;
		const on = me.getTrackPublication(Track.Source.ScreenShare) !== undefined;
		if (on && !this.#stage) {
			this.#stage = {
				kind: 'screenshare',
				ownerIdentity: me.identity,
				ownerName: me.name || me.identity,
				updatedAt: Date.now(),
			};
			this.#say(stageSet(this.#stage));
		} else if (!on && this.#stage) {
			this.#stage = null;
			this.#say(stageClear(me.identity, Date.now()));
		}
	}

	/** A newcomer does not know yet. */
	greet(): void {
		if (this.#stage) setTimeout(() => this.#stage && this.#say(stageState(this.#stage, Date.now())), greetAfterMs);
	}

	receive(payload: Uint8Array): void {
		if (this.#stage && isStageRequest(payload)) this.#say(stageState(this.#stage, Date.now()));
	}

	#say(payload: Uint8Array): void {
		// A courtesy to other clients: nothing of ours depends on it.
		this.send(payload).catch(() => {});
	}
}
