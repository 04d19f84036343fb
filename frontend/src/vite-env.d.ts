/// <reference types="vite/client" />
/// <reference types="svelte" />

interface Window {
	/** The running call, for browser tests; only set when `localStorage['bedrud.debug'] === '1'`. */
	__bedrudRoom?: import('livekit-client').Room;
}
