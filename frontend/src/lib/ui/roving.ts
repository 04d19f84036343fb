/** Moves focus among the items of a menu; true when the key was one of its keys. */
export function moveFocus(menu: Element | null, key: string): boolean {
	if (!menu) return false;
	const items = [...menu.querySelectorAll<HTMLElement>('[role^="menuitem"]')];
	if (items.length === 0) return false;
	const at = items.indexOf(document.activeElement as HTMLElement);
	const next = nextIndex(key, at, items.length) ?? byLetter(key, at, items);
	if (next === null) return false;
	items[next]?.focus();
	return true;
}

/** The index that a movement key leads to, wrapping around; null for any other key. */
export function nextIndex(key: string, at: number, count: number): number | null {
	switch (key) {
		case 'ArrowDown':
			return (at + 1) % count;
		case 'ArrowUp':
			return (at <= 0 ? count : at) - 1;
		case 'Home':
			return 0;
		case 'End':
			return count - 1;
		default:
			return null;
	}
}

function byLetter(key: string, at: number, items: HTMLElement[]): number | null {
	if (key.length !== 1 || key === ' ') return null;
	const wanted = key.toLocaleLowerCase();
	for (let step = 1; step <= items.length; step++) {
		const index = (at + step) % items.length;
		if (items[index]?.textContent?.trim().toLocaleLowerCase().startsWith(wanted)) return index;
	}
	return null;
}
