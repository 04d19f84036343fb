import { api } from '../api';
import type { PublicSettings } from '../api/types';

const permissive: PublicSettings = {
	serverName: '',
	registrationEnabled: true,
	tokenRegistrationOnly: false,
	guestLoginEnabled: true,
	passkeysEnabled: false,
	oauthProviders: [],
	requireEmailVerification: false,
	chatMessageTTLHours: 2160,
};

/** The server's public settings, asked once per page load; permissive until known, because the server decides anyway. */
class Settings {
	value = $state.raw<PublicSettings>(permissive);
	#loading: Promise<void> | null = null;

	load(): Promise<void> {
		this.#loading ??= api
			.settings()
			.then((loaded) => {
				this.value = { ...permissive, ...loaded };
			})
			.catch(() => {
				this.#loading = null;
			});
		return this.#loading;
	}
}

export const settings = new Settings();
