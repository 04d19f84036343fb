/** Turns what a person typed or pasted into a room name: a name, words, or a whole link. */
export function roomNameFrom(input: string): string {
	const text = input.trim();
	const link = /(?:^|\/)(?:m|c)\/([^/?#\s]+)/.exec(text);
	return (link?.[1] ?? text)
		.toLowerCase()
		.replace(/[\s_]+/g, '-')
		.replace(/-{2,}/g, '-')
		.replace(/^-|-$/g, '');
}

export type NameProblem = 'short' | 'long' | 'chars';

/** The server's rule for names: 3 to 63 characters, lower-case letters and digits in groups joined by single hyphens. */
export function checkRoomName(name: string): NameProblem | null {
	if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) return 'chars';
	if (name.length < 3) return 'short';
	if (name.length > 63) return 'long';
	return null;
}

/** A name nobody guesses by chance, of the shape `abc-defg-hij`. */
export function randomRoomName(random: (bytes: Uint8Array) => Uint8Array = (b) => crypto.getRandomValues(b)): string {
	const letters = [...random(new Uint8Array(10))].map((byte) => String.fromCharCode(97 + (byte % 26))).join('');
	return `${letters.slice(0, 3)}-${letters.slice(3, 7)}-${letters.slice(7)}`;
}

export function roomLink(name: string): string {
	return `${window.location.origin}/m/${name}`;
}
