import { currentLocale, t } from '$lib/i18n/index.svelte';
import type { ChatLine } from '$lib/state/chat.svelte';

export interface ChatRow {
	line: ChatLine;
	/** The first of a group by one sender: it shows who and when. */
	first: boolean;
	/** Set on the first line of a day. */
	day: string;
}

const groupMs = 5 * 60_000;

/** Groups lines by sender and time, and puts a date where a day begins. */
export function chatRows(lines: readonly ChatLine[], now = Date.now()): ChatRow[] {
	return lines.map((line, index) => {
		const before = lines[index - 1];
		const sameDay = before !== undefined && dayOf(before.timestamp) === dayOf(line.timestamp);
		const first = !sameDay || before.identity !== line.identity || line.timestamp - before.timestamp > groupMs;
		return { line, first, day: sameDay ? '' : dayName(line.timestamp, now) };
	});
}

function dayOf(time: number): string {
	return new Date(time).toDateString();
}

function dayName(time: number, now: number): string {
	if (dayOf(time) === dayOf(now)) return t('chat.today');
	if (dayOf(time) === dayOf(now - 86_400_000)) return t('chat.yesterday');
	return new Intl.DateTimeFormat(currentLocale(), { dateStyle: 'medium' }).format(time);
}
