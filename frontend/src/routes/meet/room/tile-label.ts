import { t } from '$lib/i18n/index.svelte';
import type { ParticipantState } from '$lib/state/participant.svelte';

/** A tile in words, for those who do not see it: name, role, microphone, connection. */
export function tileLabel(person: ParticipantState, screen: boolean, host: string): string {
	if (screen) return t(person.local ? 'tile.yourScreen' : 'tile.screenOf', { name: person.name });
	const parts = [person.local ? t('tile.nameYou', { name: person.name }) : person.name];
	if (person.identity === host) parts.push(t('people.host'));
	if (person.micMuted) parts.push(t('tile.muted'));
	if (!person.camera) parts.push(t('tile.noVideo'));
	if (person.quality === 'poor') parts.push(t('quality.poor'));
	if (person.quality === 'lost') parts.push(t('quality.lost'));
	return parts.join(', ');
}
