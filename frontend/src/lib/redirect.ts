/** Only a path of this site is accepted as the place to go to after sign-in. */
export function safeRedirect(value: string | null, fallback: string): string {
	return value && /^\/(?![/\\])/.test(value) ? value : fallback;
}
