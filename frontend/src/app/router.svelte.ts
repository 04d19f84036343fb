/** The place the browser shows: history mode, no hash routing (the fragment stays free for a room's key). */
class Location {
	pathname = $state(window.location.pathname);
	search = $state(window.location.search);

	constructor() {
		window.addEventListener('popstate', () => this.#read());
	}

	get query(): URLSearchParams {
		return new URLSearchParams(this.search);
	}

	go(to: string, options: { replace?: boolean } = {}): void {
		if (options.replace) history.replaceState(null, '', to);
		else history.pushState(null, '', to);
		this.#read();
		window.scrollTo(0, 0);
	}

	#read(): void {
		this.pathname = window.location.pathname;
		this.search = window.location.search;
	}
}

export const location = new Location();

export function navigate(to: string, options?: { replace?: boolean }): void {
	location.go(to, options);
}

/** Turns clicks on plain same-origin links into navigation without a page load. */
export function interceptLinks(event: MouseEvent): void {
	if (event.defaultPrevented || event.button !== 0) return;
	if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
	const link = (event.target as Element | null)?.closest('a');
	if (!link || link.target || link.hasAttribute('download') || link.origin !== window.location.origin) return;
	if (link.hash && link.pathname === window.location.pathname) return;
	event.preventDefault();
	navigate(link.pathname + link.search + link.hash);
}
