export interface User {
	id: string;
	email: string;
	name: string;
	provider: string;
	avatarUrl: string;
	accesses: string[];
}

export interface Tokens {
	accessToken: string;
	refreshToken: string;
}

export interface LoginResponse {
	user: User;
	tokens: Tokens;
}

/** Registration answers this instead of tokens when the address must be confirmed first. */
export interface VerificationRequired {
	requiresVerification: true;
	message: string;
	email: string;
}

export interface PublicSettings {
	serverName: string;
	registrationEnabled: boolean;
	tokenRegistrationOnly: boolean;
	guestLoginEnabled: boolean;
	passkeysEnabled: boolean;
	oauthProviders: string[];
	requireEmailVerification: boolean;
	chatMessageTTLHours: number;
}

export interface RoomSettings {
	allowChat: boolean;
	allowVideo: boolean;
	allowAudio: boolean;
	requireApproval: boolean;
	e2ee: boolean;
	isPersistent: boolean;
	recordingsAllowed?: boolean;
}

export interface Room {
	id: string;
	name: string;
	createdBy: string;
	adminId?: string;
	isActive: boolean;
	isPublic: boolean;
	maxParticipants: number;
	createdAt: string;
	settings: RoomSettings;
	mode: string;
}

export interface NewRoom {
	name?: string;
	isPublic: boolean;
	maxParticipants: number;
	settings: RoomSettings;
	mode?: string;
}

/** What a person needs to enter a room. A guest's answer carries fewer keys and a token pair of its own. */
export interface JoinResponse {
	id: string;
	name: string;
	token: string;
	livekitHost: string;
	adminId?: string;
	createdBy?: string;
	isPublic?: boolean;
	settings?: RoomSettings;
	accessToken?: string;
	refreshToken?: string;
	tokens?: Tokens;
}

/** The room has ended and the caller owned it: it can be opened again as it was. */
export interface ArchivedOwned {
	status: 'archived_owned';
	id: string;
	name: string;
	mode: string;
	settings: RoomSettings;
}
