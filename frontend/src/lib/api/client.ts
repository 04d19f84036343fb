/** An answer of the server that is not a success. `status` 0 means that no answer came at all. */
export class ApiError extends Error {
	constructor(
		readonly status: number,
		message: string,
		readonly body: Record<string, unknown> = {},
		/** Seconds to wait, from the `Retry-After` header or the body. */
		readonly retryAfter?: number,
	) {
		super(message);
		this.name = 'ApiError';
	}
}

/** What the client needs from the session; set once at start so that the two do not import each other. */
export interface AuthSource {
	token(): string | null;
	/** Gets a new access token; one request for all callers. False when the session is over. */
	refresh(): Promise<boolean>;
	/** Called when a refresh failed: the session is over. */
	expired(): void;
}

let auth: AuthSource = { token: () => null, refresh: async () => false, expired: () => {} };

export function useAuth(source: AuthSource): void {
	auth = source;
}

export interface RequestOptions {
	body?: unknown;
	/** Leave the token out and take a 401 as an answer about the request itself. */
	anonymous?: boolean;
	/** Do not try to refresh on 401 (used by the start of the session). */
	noRefresh?: boolean;
	signal?: AbortSignal;
}

export async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
	const token = options.anonymous ? null : auth.token();
	const response = await send(method, path, token, options);
	if (response.status === 401 && token && !options.noRefresh) {
		if (await auth.refresh()) return read<T>(await send(method, path, auth.token(), options));
		auth.expired();
	}
	return read<T>(response);
}

async function send(method: string, path: string, token: string | null, options: RequestOptions): Promise<Response> {
	const headers: Record<string, string> = { Accept: 'application/json' };
	if (token) headers.Authorization = `Bearer ${token}`;
	if (options.body !== undefined) headers['Content-Type'] = 'application/json';
	try {
		return await fetch(path, {
			method,
			headers,
			credentials: 'include',
			body: options.body === undefined ? undefined : JSON.stringify(options.body),
			signal: options.signal,
		});
	} catch (cause) {
		if (options.signal?.aborted) throw cause;
		throw new ApiError(0, 'network');
	}
}

async function read<T>(response: Response): Promise<T> {
	const text = await response.text().catch(() => '');
	const body = parse(text);
	if (response.ok) return body as T;
	throw new ApiError(response.status, errorText(body, text), asRecord(body), retryAfter(response, body));
}

function parse(text: string): unknown {
	if (!text) return {};
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function asRecord(body: unknown): Record<string, unknown> {
	return body && typeof body === 'object' ? (body as Record<string, unknown>) : {};
}

function errorText(body: unknown, raw: string): string {
	const { error, message } = asRecord(body);
	if (typeof error === 'string' && error) return error;
	if (typeof message === 'string' && message) return message;
	return raw.length < 200 && !raw.includes('<') ? raw : '';
}

function retryAfter(response: Response, body: unknown): number | undefined {
	const value = Number(asRecord(body).retryAfter ?? response.headers.get('Retry-After') ?? Number.NaN);
	return Number.isFinite(value) && value >= 0 ? value : undefined;
}
