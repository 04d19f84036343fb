/** A place in the picture area, in pixels. */
export interface Rect {
	x: number;
	y: number;
	width: number;
	height: number;
}

export interface Placement {
	/** Places of the large tiles. */
	stage: Rect[];
	/** Places of the tiles of the shown page. */
	rest: Rect[];
	/** How many small tiles fit on a page, and how many pages that makes. */
	perPage: number;
	pages: number;
	/** Height of the strip of small tiles below the large ones, 0 when there is none. */
	below: number;
}

const gap = 10;
/** A tile smaller than this says too little; there are more pages instead. */
const minTile = { width: 150, height: 100 };
const mostPerPage = 25;
/** How wide and how narrow a tile may get. */
const aspect = { widest: 16 / 9, narrowest: 3 / 4, narrowestInLandscape: 4 / 3 };

/** Puts `stageCount` large and `restCount` other tiles into the space; `page` counts from 0. */
export function place(stageCount: number, restCount: number, width: number, height: number, page: number): Placement {
	if (width <= 0 || height <= 0) return { stage: [], rest: [], perPage: 1, pages: 1, below: 0 };
	if (stageCount === 0) return gridOnly(restCount, { x: 0, y: 0, width, height }, page);
	if (restCount === 0) {
		return { stage: pack(stageCount, { x: 0, y: 0, width, height }, false), rest: [], perPage: 1, pages: 1, below: 0 };
	}
	return width > height * 1.1
		? stripAtSide(stageCount, restCount, width, height, page)
		: stripBelow(stageCount, restCount, width, height, page);
}

function gridOnly(count: number, area: Rect, page: number): Placement {
	const perPage = Math.max(1, Math.min(count, fitting(area), mostPerPage));
	return {
		stage: [],
		rest: pack(onPage(count, perPage, page), area),
		perPage,
		pages: pagesOf(count, perPage),
		below: 0,
	};
}

function stripAtSide(stageCount: number, restCount: number, width: number, height: number, page: number): Placement {
	const stripWidth = Math.round(Math.min(240, Math.max(140, width * 0.19)));
	const tile = { width: stripWidth, height: Math.round((stripWidth * 9) / 16) };
	const perPage = Math.max(1, Math.floor((height + gap) / (tile.height + gap)));
	const shown = onPage(restCount, perPage, page);
	const top = Math.max(0, (height - shown * (tile.height + gap) + gap) / 2);
	const rest = Array.from({ length: shown }, (_, i) => ({
		x: width - stripWidth,
		y: top + i * (tile.height + gap),
		...tile,
	}));
	const stage = pack(stageCount, { x: 0, y: 0, width: width - stripWidth - gap, height }, false);
	return { stage, rest, perPage, pages: pagesOf(restCount, perPage), below: 0 };
}

function stripBelow(stageCount: number, restCount: number, width: number, height: number, page: number): Placement {
	const tileHeight = Math.round(Math.min(120, Math.max(72, height * 0.16)));
	const tile = { width: Math.round((tileHeight * 4) / 3), height: tileHeight };
	const perPage = Math.max(1, Math.floor((width + gap) / (tile.width + gap)));
	const shown = onPage(restCount, perPage, page);
	const left = Math.max(0, (width - shown * (tile.width + gap) + gap) / 2);
	const rest = Array.from({ length: shown }, (_, i) => ({
		x: left + i * (tile.width + gap),
		y: height - tileHeight,
		...tile,
	}));
	const stage = pack(stageCount, { x: 0, y: 0, width, height: height - tileHeight - gap }, false);
	return { stage, rest, perPage, pages: pagesOf(restCount, perPage), below: tileHeight + gap };
}

/** The columns and rows that give each tile the largest area; an incomplete last row is centred. */
function pack(count: number, area: Rect, limitAspect = true): Rect[] {
	if (count === 0) return [];
	const { columns, width, height } = bestShape(count, area, limitAspect);
	const rows = Math.ceil(count / columns);
	const top = area.y + (area.height - rows * height - (rows - 1) * gap) / 2;
	return Array.from({ length: count }, (_, i) => {
		const row = Math.floor(i / columns);
		const inRow = Math.min(columns, count - row * columns);
		const left = area.x + (area.width - inRow * width - (inRow - 1) * gap) / 2;
		return { x: left + (i % columns) * (width + gap), y: top + row * (height + gap), width, height };
	});
}

interface Shape {
	columns: number;
	width: number;
	height: number;
}

function bestShape(count: number, area: Rect, limitAspect: boolean): Shape {
	let best = { ...shape(count, 1, area, limitAspect), size: -1 };
	for (let columns = 1; columns <= count; columns++) {
		const tile = shape(count, columns, area, limitAspect);
		if (columns > 1 && limitAspect && tile.width < minTile.width) break;
		// A large tile is judged by the picture in it, not by the bars around it; at equal size fewer gaps win.
		const picture = limitAspect ? tile.width * tile.height : Math.min(tile.width, tile.height * aspect.widest) ** 2;
		const size = picture * (1 - (columns * Math.ceil(count / columns) - count) * 0.002);
		if (size > best.size) best = { ...tile, size };
	}
	return best;
}

function shape(count: number, columns: number, area: Rect, limitAspect: boolean): Shape {
	const rows = Math.ceil(count / columns);
	const cellWidth = (area.width - gap * (columns - 1)) / columns;
	const cellHeight = (area.height - gap * (rows - 1)) / rows;
	if (!limitAspect) return { columns, width: cellWidth, height: cellHeight };
	const narrowest = area.width > area.height ? aspect.narrowestInLandscape : aspect.narrowest;
	const height = Math.min(cellHeight, cellWidth / narrowest);
	return { columns, width: Math.min(cellWidth, height * aspect.widest), height };
}

function fitting(area: Rect): number {
	const columns = Math.floor((area.width + gap) / (minTile.width + gap));
	const rows = Math.floor((area.height + gap) / (minTile.height + gap));
	return Math.max(1, columns * rows);
}

function pagesOf(count: number, perPage: number): number {
	return Math.max(1, Math.ceil(count / perPage));
}

function onPage(count: number, perPage: number, page: number): number {
	return Math.max(0, Math.min(perPage, count - page * perPage));
}
