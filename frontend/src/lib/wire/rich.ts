export type Span =
	| { kind: 'text'; text: string }
	| { kind: 'strong' | 'em' | 'code'; text: string }
	| { kind: 'link'; text: string; href: string };

const inline = /(`[^`\n]+`)|(\*\*[^*\n]+\*\*)|(\*[^*\s][^*\n]*\*)|(https?:\/\/[^\s<>"'`]+)/g;

/** Splits chat text into plain parts, `code`, **strong**, *emphasis* and links. Nothing becomes markup by itself. */
export function richText(text: string): Span[] {
	const spans: Span[] = [];
	let at = 0;
	for (const match of text.matchAll(inline)) {
		const [found, code, strong, em] = match;
		if (match.index > at) spans.push({ kind: 'text', text: text.slice(at, match.index) });
		at = match.index + found.length;
		if (code) spans.push({ kind: 'code', text: found.slice(1, -1) });
		else if (strong) spans.push({ kind: 'strong', text: found.slice(2, -2) });
		else if (em) spans.push({ kind: 'em', text: found.slice(1, -1) });
		else at -= pushLink(spans, found);
	}
	if (at < text.length) spans.push({ kind: 'text', text: text.slice(at) });
	return spans;
}

/** Punctuation at the end of a sentence is not part of the address; returns how much was given back. */
function pushLink(spans: Span[], found: string): number {
	let href = found.replace(/[.,;:!?]+$/, '');
	if (href.endsWith(')') && !href.includes('(')) href = href.slice(0, -1);
	spans.push({ kind: 'link', text: href, href });
	return found.length - href.length;
}

/** One to three emoji and nothing else: shown large. */
export function isBigEmoji(text: string): boolean {
	return /^(?:\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\ufe0f|\u200d\p{Extended_Pictographic})*\s*){1,3}$/u.test(
		text.trim(),
	);
}
