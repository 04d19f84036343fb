/** Chat on the wire: JSON in reliable data packets, plain messages on topic `chat`, every other type on `lk.chat`. */

export interface Attachment {
	kind: 'image' | 'file';
	url: string;
	mime: string;
	size: number;
	w?: number;
	h?: number;
	name?: string;
}

export interface ChatMessage {
	type: 'chat';
	id: string;
	/** Milliseconds since 1970. */
	timestamp: number;
	senderName: string;
	senderIdentity: string;
	message: string;
	attachments: Attachment[];
}

export interface ChunkMeta {
	type: 'chat_chunk_meta';
	id: string;
	timestamp: number;
	senderName: string;
	senderIdentity: string;
	messageChunks: number;
	attachmentChunks: number;
	pollChunks: number;
}

export interface Chunk {
	type: 'chat_chunk';
	id: string;
	kind: 'message' | 'attachments' | 'poll';
	index: number;
	part: string;
}

export interface Reaction {
	type: 'reaction';
	messageId: string;
	emoji: string;
}

export type ChatPacket = ChatMessage | ChunkMeta | Chunk | Reaction;

export interface OutPacket {
	topic: string;
	payload: Uint8Array;
}

/** The largest packet that is sent whole, in bytes. */
export const maxPacketBytes = 60_000;
/** The longest text that is sent or shown, in characters. */
export const maxMessageLength = 100_000;
const maxChunks = 64;
const partBytes = 48_000;
const topics = new Set(['chat', 'lk.chat', 'lk-chat-topic']);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function isChatTopic(topic: string | undefined): boolean {
	return topic !== undefined && topics.has(topic);
}

/** The packets of one message, in the order in which they must be sent. */
export function encodeMessage(message: ChatMessage): OutPacket[] {
	const whole = pack(message);
	if (whole.length <= maxPacketBytes) return [{ topic: 'chat', payload: whole }];
	const text = split(message.message);
	const attachments = message.attachments.length > 0 ? split(JSON.stringify(message.attachments)) : [];
	const { id, timestamp, senderName, senderIdentity } = message;
	const meta: ChunkMeta = {
		type: 'chat_chunk_meta',
		id,
		timestamp,
		senderName,
		senderIdentity,
		messageChunks: text.length,
		attachmentChunks: attachments.length,
		pollChunks: 0,
	};
	const part = (kind: Chunk['kind']) => (value: string, index: number) =>
		({ type: 'chat_chunk', id, kind, index, part: value }) satisfies Chunk;
	return [meta, ...text.map(part('message')), ...attachments.map(part('attachments'))].map((packet) => ({
		topic: 'lk.chat',
		payload: pack(packet),
	}));
}

export function encodeReaction(messageId: string, emoji: string, voterIdentity: string): OutPacket {
	return { topic: 'lk.chat', payload: pack({ type: 'reaction', messageId, emoji, voterIdentity }) };
}

/** Reads a packet that may come from anybody; null for what is not chat or makes no sense. */
export function decodePacket(topic: string | undefined, payload: Uint8Array): ChatPacket | null {
	if (payload.length > 65_535) return null;
	const raw = parse(payload);
	if (!raw) return null;
	const type = typeof raw.type === 'string' ? raw.type : '';
	if (!isChatTopic(topic) && type !== 'chat' && !type.startsWith('chat_')) return null;
	switch (type) {
		case 'chat':
			return readMessage(raw);
		case 'chat_chunk_meta':
			return readMeta(raw);
		case 'chat_chunk':
			return readChunk(raw);
		case 'reaction':
			return readReaction(raw);
		default:
			return null;
	}
}

function readMessage(raw: Record<string, unknown>): ChatMessage | null {
	const id = text(raw.id, 128);
	if (!id || typeof raw.message !== 'string') return null;
	return {
		type: 'chat',
		id,
		timestamp: count(raw.timestamp) ?? 0,
		senderName: text(raw.senderName, 256),
		senderIdentity: text(raw.senderIdentity, 256),
		message: raw.message.slice(0, maxMessageLength),
		attachments: readAttachments(raw.attachments),
	};
}

function readMeta(raw: Record<string, unknown>): ChunkMeta | null {
	const id = text(raw.id, 128);
	const counts = [raw.messageChunks, raw.attachmentChunks, raw.pollChunks].map((value) => count(value) ?? 0);
	const [messageChunks = 0, attachmentChunks = 0, pollChunks = 0] = counts;
	const sum = messageChunks + attachmentChunks + pollChunks;
	if (!id || sum < 1 || sum > maxChunks) return null;
	return {
		type: 'chat_chunk_meta',
		id,
		timestamp: count(raw.timestamp) ?? 0,
		senderName: text(raw.senderName, 256),
		senderIdentity: text(raw.senderIdentity, 256),
		messageChunks,
		attachmentChunks,
		pollChunks,
	};
}

function readChunk(raw: Record<string, unknown>): Chunk | null {
	const id = text(raw.id, 128);
	const index = count(raw.index);
	const kind = raw.kind;
	if (!id || index === null || index >= maxChunks || typeof raw.part !== 'string') return null;
	if (kind !== 'message' && kind !== 'attachments' && kind !== 'poll') return null;
	return { type: 'chat_chunk', id, kind, index, part: raw.part };
}

function readReaction(raw: Record<string, unknown>): Reaction | null {
	const messageId = text(raw.messageId, 128);
	const emoji = text(raw.emoji, 32);
	if (!messageId || !/\p{Extended_Pictographic}/u.test(emoji)) return null;
	return { type: 'reaction', messageId, emoji };
}

/** Attachments of a list somebody sent; unusable entries are left out. */
export function readAttachments(value: unknown): Attachment[] {
	if (!Array.isArray(value)) return [];
	return value.slice(0, 20).flatMap((entry: Record<string, unknown> | null) => {
		if (!entry || typeof entry !== 'object' || typeof entry.url !== 'string') return [];
		const mime = text(entry.mime, 128);
		const kind = entry.kind === 'file' || (entry.kind !== 'image' && !mime.startsWith('image/')) ? 'file' : 'image';
		const attachment: Attachment = { kind, url: entry.url, mime, size: count(entry.size) ?? 0 };
		const w = count(entry.w);
		const h = count(entry.h);
		const name = text(entry.name, 256);
		return [{ ...attachment, ...(w ? { w } : {}), ...(h ? { h } : {}), ...(name ? { name } : {}) }];
	});
}

function pack(value: unknown): Uint8Array {
	return encoder.encode(JSON.stringify(value));
}

function parse(payload: Uint8Array): Record<string, unknown> | null {
	try {
		const value: unknown = JSON.parse(decoder.decode(payload));
		return value && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
	} catch {
		return null;
	}
}

/** Cuts text into parts whose JSON form stays below the limit, never inside a character. */
function split(value: string): string[] {
	const parts: string[] = [];
	let part = '';
	let size = 0;
	for (const char of value) {
		const bytes = encoder.encode(JSON.stringify(char)).length - 2;
		if (size + bytes > partBytes) {
			parts.push(part);
			part = '';
			size = 0;
		}
		part += char;
		size += bytes;
	}
	if (part || parts.length === 0) parts.push(part);
	return parts;
}

function text(value: unknown, most: number): string {
	return typeof value === 'string' ? value.slice(0, most) : '';
}

function count(value: unknown): number | null {
	return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.floor(value) : null;
}
