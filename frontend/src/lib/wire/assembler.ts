import { type ChatMessage, type Chunk, type ChunkMeta, maxMessageLength, readAttachments } from './chat';

interface Pending {
	meta: ChunkMeta;
	parts: Record<Chunk['kind'], Map<number, string>>;
	size: number;
	expires: number;
}

const livesMs = 120_000;
const mostPending = 32;
const mostChars = 1_000_000;

/** Puts long messages together again. Buffers are per sender and message, few, limited in size, and expire. */
export class ChatAssembler {
	#pending = new Map<string, Pending>();

	begin(sender: string, meta: ChunkMeta, now: number): void {
		this.#expire(now);
		if (this.#pending.size >= mostPending) return;
		this.#pending.set(keyOf(sender, meta.id), {
			meta,
			parts: { message: new Map(), attachments: new Map(), poll: new Map() },
			size: 0,
			expires: now + livesMs,
		});
	}

	/** The whole message when this was its last part. Parts that come before their head are dropped. */
	add(sender: string, chunk: Chunk, now: number): ChatMessage | null {
		this.#expire(now);
		const key = keyOf(sender, chunk.id);
		const pending = this.#pending.get(key);
		if (!pending || pending.parts[chunk.kind].has(chunk.index)) return null;
		pending.size += chunk.part.length;
		if (pending.size > mostChars) {
			this.#pending.delete(key);
			return null;
		}
		pending.parts[chunk.kind].set(chunk.index, chunk.part);
		if (!complete(pending)) return null;
		this.#pending.delete(key);
		return assemble(pending);
	}

	#expire(now: number): void {
		for (const [key, pending] of this.#pending) if (pending.expires <= now) this.#pending.delete(key);
	}
}

function keyOf(sender: string, id: string): string {
	return `${sender}\n${id}`;
}

function complete({ meta, parts }: Pending): boolean {
	return (
		has(parts.message, meta.messageChunks) &&
		has(parts.attachments, meta.attachmentChunks) &&
		has(parts.poll, meta.pollChunks)
	);
}

function has(parts: Map<number, string>, count: number): boolean {
	for (let index = 0; index < count; index++) if (!parts.has(index)) return false;
	return true;
}

function join(parts: Map<number, string>): string {
	return [...parts.entries()]
		.sort(([a], [b]) => a - b)
		.map(([, part]) => part)
		.join('');
}

function assemble({ meta, parts }: Pending): ChatMessage {
	let attachments: unknown = [];
	try {
		attachments = JSON.parse(join(parts.attachments) || '[]');
	} catch {
		// A message whose attachments are broken still has its text.
	}
	return {
		type: 'chat',
		id: meta.id,
		timestamp: meta.timestamp,
		senderName: meta.senderName,
		senderIdentity: meta.senderIdentity,
		message: join(parts.message).slice(0, maxMessageLength),
		attachments: readAttachments(attachments),
	};
}
