import { currentLocale } from './index.svelte';

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
	['year', 31_536_000],
	['month', 2_592_000],
	['week', 604_800],
	['day', 86_400],
	['hour', 3600],
	['minute', 60],
];

/** How long ago `time` (ms since 1970) was, in words. */
export function ago(time: number, now = Date.now()): string {
	const seconds = Math.max(0, (now - time) / 1000);
	const format = new Intl.RelativeTimeFormat(currentLocale(), { numeric: 'auto' });
	for (const [unit, size] of steps) {
		if (seconds >= size) return format.format(-Math.floor(seconds / size), unit);
	}
	return format.format(0, 'minute');
}

export function clock(time: number): string {
	return new Intl.DateTimeFormat(currentLocale(), { hour: '2-digit', minute: '2-digit' }).format(time);
}

/** Seconds as `m:ss` or `h:mm:ss`. */
export function duration(seconds: number): string {
	const two = (n: number) => String(n).padStart(2, '0');
	const whole = Math.max(0, Math.floor(seconds));
	const minutes = Math.floor(whole / 60) % 60;
	const hours = Math.floor(whole / 3600);
	return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
