/** Browser storage may be full, blocked or absent; the app then works without memory. */
export function readText(storage: 'local' | 'session', key: string): string | null {
	try {
		return pick(storage).getItem(key);
	} catch {
		return null;
	}
}

export function writeText(storage: 'local' | 'session', key: string, value: string | null): void {
	try {
		if (value === null) pick(storage).removeItem(key);
		else pick(storage).setItem(key, value);
	} catch {
		// Nothing to do: the value is only lost for the next visit.
	}
}

export function readJson<T>(storage: 'local' | 'session', key: string, fallback: T): T {
	const text = readText(storage, key);
	if (!text) return fallback;
	try {
		return JSON.parse(text) as T;
	} catch {
		return fallback;
	}
}

export function writeJson(storage: 'local' | 'session', key: string, value: unknown): void {
	writeText(storage, key, JSON.stringify(value));
}

function pick(storage: 'local' | 'session'): Storage {
	return storage === 'local' ? localStorage : sessionStorage;
}
