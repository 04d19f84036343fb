import type { MessageKey } from '$lib/i18n/index.svelte';

export interface AccountForm {
	name: string;
	email: string;
	password: string;
	inviteToken: string;
}

export type AccountErrors = Partial<Record<keyof AccountForm, MessageKey>>;

/** The server counts names in bytes and passwords in characters, so does this. */
const bytes = (text: string) => new TextEncoder().encode(text).length;

/** Checks a new account before it is sent, by the server's own rules. */
export function checkAccount(form: AccountForm, askInvite: boolean): AccountErrors {
	const errors: AccountErrors = {};
	const name = form.name.replace(/[<>&"']/g, '').trim();
	if (bytes(name) < 2) errors.name = 'error.nameShort';
	else if (bytes(name) > 255) errors.name = 'error.nameLong';
	if (!/^[^\s@]+@[^\s@]+$/.test(form.email.trim())) errors.email = 'error.email';
	if ([...form.password].length < 12) errors.password = 'error.passwordShort';
	else if (bytes(form.password) > 1024) errors.password = 'error.passwordLong';
	if (askInvite && !form.inviteToken.trim()) errors.inviteToken = 'error.inviteNeeded';
	return errors;
}
