/** Milliseconds between two looks at what arrives. */
const lookEveryMs = 700;
/** A question to the server is asked when no media arrived for this long. */
const quietMs = 700;
/** And not more often than this while it is answered, so that a silent meeting costs little. */
const askEveryMs = 1400;
/** No answer within this time means that the server cannot be reached. */
const answerMs = 1100;

export interface ReachabilitySteps {
	/** Milliseconds since media last arrived; infinite when none does. */
	quietFor(): number;
	/** Asks the server for any answer at all; rejects when there is none. */
	ask(signal: AbortSignal): Promise<unknown>;
	changed(reachable: boolean): void;
	/** False while nobody looks at the page. */
	visible(): boolean;
}

/**
 * Notices within three seconds that the network is gone. LiveKit waits for its sockets to fail, which takes up to half a
 * minute when packets merely vanish.
 */
export class Reachability {
	#reachable = true;
	#asking = false;
	#askedAt = Number.NEGATIVE_INFINITY;
	#timer: ReturnType<typeof setInterval> | undefined;

	constructor(
		private readonly steps: ReachabilitySteps,
		private readonly now: () => number = () => performance.now(),
	) {}

	start(): void {
		this.stop();
		this.#timer = setInterval(() => void this.look(), lookEveryMs);
		window.addEventListener('offline', this.#offline);
		window.addEventListener('online', this.#online);
	}

	stop(): void {
		clearInterval(this.#timer);
		window.removeEventListener('offline', this.#offline);
		window.removeEventListener('online', this.#online);
	}

	/** One look: believes arriving media, asks the server when there is none. */
	async look(): Promise<void> {
		if (this.steps.quietFor() < quietMs) {
			this.#set(true);
			return;
		}
		const dueIn = this.#reachable ? this.#askedAt + askEveryMs - this.now() : 0;
		if (this.#asking || dueIn > 0 || !this.steps.visible()) return;
		this.#asking = true;
		this.#askedAt = this.now();
		const controller = new AbortController();
		const late = setTimeout(() => controller.abort(), answerMs);
		try {
			await this.steps.ask(controller.signal);
			this.#set(true);
		} catch {
			// Media that came meanwhile is a better witness than an answer that did not.
			if (this.steps.quietFor() >= quietMs) this.#set(false);
		} finally {
			clearTimeout(late);
			this.#asking = false;
		}
	}

	readonly #offline = () => this.#set(false);
	readonly #online = () => void this.look();

	#set(reachable: boolean): void {
		if (reachable === this.#reachable) return;
		this.#reachable = reachable;
		this.steps.changed(reachable);
	}
}
