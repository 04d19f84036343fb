export interface Sortable {
	key: string;
	local: boolean;
	speaking: boolean;
	/** Milliseconds since 1970; 0 for never. */
	lastSpoke: number;
	hasVideo: boolean;
	joinedAt: number;
}

/** Who comes first when there is no order yet: oneself, speakers, last to have spoken, with video, first to have come. */
export function compareTiles(a: Sortable, b: Sortable): number {
	return (
		Number(b.local) - Number(a.local) ||
		Number(b.speaking) - Number(a.speaking) ||
		b.lastSpoke - a.lastSpoke ||
		Number(b.hasVideo) - Number(a.hasVideo) ||
		a.joinedAt - b.joinedAt ||
		(a.key < b.key ? -1 : 1)
	);
}

/**
 * Keeps tiles where they are. Leavers make room, newcomers go to the end, and somebody who speaks on a later page
 * changes places with the one on the first page who has been silent longest.
 */
export function stableOrder(previous: readonly string[], tiles: readonly Sortable[], perPage: number): string[] {
	const byKey = new Map(tiles.map((tile) => [tile.key, tile]));
	const kept = previous.filter((key) => byKey.has(key));
	const known = new Set(kept);
	const fresh = tiles.filter((tile) => !known.has(tile.key)).sort(compareTiles);
	const order = [...kept, ...fresh.map((tile) => tile.key)];
	for (let i = perPage; i < order.length; i++) {
		const speaker = byKey.get(order[i] ?? '');
		if (!speaker?.speaking) continue;
		const place = quietest(order.slice(0, perPage), byKey);
		if (place < 0) break;
		const displaced = order[place] as string;
		order[place] = speaker.key;
		order[i] = displaced;
	}
	return order;
}

function quietest(visible: string[], byKey: Map<string, Sortable>): number {
	let found = -1;
	let least = Number.POSITIVE_INFINITY;
	visible.forEach((key, index) => {
		const tile = byKey.get(key);
		if (!tile || tile.local || tile.speaking || tile.lastSpoke >= least) return;
		least = tile.lastSpoke;
		found = index;
	});
	return found;
}
