/** What screen readers are told. `polite` waits for a pause, `assertive` interrupts. */
class Announcer {
	politeText = $state('');
	assertiveText = $state('');

	polite(text: string): void {
		// The same text twice in a row must still count as a change.
		this.politeText = this.politeText === text ? `${text}\u00a0` : text;
	}

	assertive(text: string): void {
		this.assertiveText = this.assertiveText === text ? `${text}\u00a0` : text;
	}
}

export const announcer = new Announcer();
