import { ApiError } from '../api/client';
import { retryDelay } from '../room/link';
import type { EndReason } from '../room/machine';

export interface RejoinSteps {
	/** One try to enter the room again; throws when it fails. */
	attempt: () => Promise<void>;
	/** The server says that there is no way back. */
	refused: (reason: EndReason) => void;
}

/** Enters a room again and again until it works, the server refuses, or somebody stops it. */
export class Rejoin {
	#stopped = false;
	#wake: (() => void) | null = null;

	constructor(private readonly steps: RejoinSteps) {}

	async run(): Promise<boolean> {
		const online = () => this.now();
		window.addEventListener('online', online);
		try {
			for (let attempt = 0; !this.#stopped; attempt++) {
				await this.#wait(retryDelay(attempt));
				if (this.#stopped) return false;
				try {
					await this.steps.attempt();
					return !this.#stopped;
				} catch (error) {
					const reason = refusal(error);
					if (reason) {
						this.steps.refused(reason);
						return false;
					}
				}
			}
			return false;
		} finally {
			window.removeEventListener('online', online);
		}
	}

	/** Skips the present wait. */
	now(): void {
		this.#wake?.();
	}

	stop(): void {
		this.#stopped = true;
		this.#wake?.();
	}

	#wait(ms: number): Promise<void> {
		return new Promise((resolve) => {
			const timer = setTimeout(resolve, ms);
			this.#wake = () => {
				clearTimeout(timer);
				resolve();
			};
		});
	}
}

/** Answers after which another try makes no sense; everything else may pass. */
function refusal(error: unknown): EndReason | null {
	if (!(error instanceof ApiError)) return null;
	if (error.status === 404 || error.status === 410) return 'room-gone';
	// Somebody may leave.
	if (error.status === 403 && error.message.includes('full')) return null;
	if (error.status === 403) return error.message.includes('banned') ? 'banned' : 'denied';
	return null;
}
