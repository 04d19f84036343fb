/** Puts text on the clipboard; pages without HTTPS have no clipboard interface, so a selection is the way there. */
export async function copyText(text: string): Promise<boolean> {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		return copyBySelection(text);
	}
}

function copyBySelection(text: string): boolean {
	const area = document.createElement('textarea');
	area.value = text;
	area.setAttribute('readonly', '');
	area.className = 'visually-hidden';
	(document.querySelector('dialog[open]') ?? document.body).append(area);
	area.select();
	const done = document.execCommand('copy');
	area.remove();
	return done;
}
