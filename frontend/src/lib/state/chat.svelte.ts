import { SvelteMap } from 'svelte/reactivity';
import { readJson, writeJson } from '../storage/safe';
import { ChatAssembler } from '../wire/assembler';
import {
	type Attachment,
	type ChatMessage,
	decodePacket,
	encodeMessage,
	encodeReaction,
	type OutPacket,
} from '../wire/chat';

export type ChatStatus = 'sending' | 'sent' | 'failed';

export interface ChatLine {
	id: string;
	timestamp: number;
	identity: string;
	name: string;
	own: boolean;
	text: string;
	attachments: Attachment[];
	status: ChatStatus;
}

export interface Person {
	identity: string;
	name: string;
}

const mostLines = 400;
const mostStored = 200;

/** The chat of one room: what was said, what is unread, and the way out. History lives in this tab only. */
export class ChatState {
	lines = $state.raw<ChatLine[]>([]);
	unread = $state(0);
	open = $state(false);
	/** For each message, who reacted with what. */
	reactions = new SvelteMap<string, ReadonlyMap<string, string>>();
	onmessage: (line: ChatLine) => void = () => {};
	#assembler = new ChatAssembler();
	#key: string;

	constructor(
		roomId: string,
		private readonly me: () => Person,
		private readonly send: (packet: OutPacket) => Promise<void>,
		keepHours = 2160,
	) {
		this.#key = `chat:${roomId}`;
		const oldest = Date.now() - keepHours * 3_600_000;
		const stored = readJson<unknown>('session', this.#key, []);
		this.lines = (Array.isArray(stored) ? (stored as ChatLine[]) : [])
			.filter((line) => typeof line?.id === 'string' && typeof line.text === 'string' && line.timestamp >= oldest)
			.map((line) => ({ ...line, status: line.status === 'sending' ? 'failed' : line.status }));
	}

	setOpen(open: boolean): void {
		this.open = open;
		if (open) this.unread = 0;
	}

	/** A packet from the room; true when it was chat. The sender is who the transport says it is. */
	receive(topic: string | undefined, payload: Uint8Array, sender: Person | undefined): boolean {
		const packet = decodePacket(topic, payload);
		if (!packet) return false;
		const from = sender?.identity ?? '';
		switch (packet.type) {
			case 'chat':
				this.#arrived(packet, sender);
				break;
			case 'chat_chunk_meta':
				this.#assembler.begin(from, packet, Date.now());
				break;
			case 'chat_chunk': {
				const whole = this.#assembler.add(from, packet, Date.now());
				if (whole) this.#arrived(whole, sender);
				break;
			}
			case 'reaction':
				if (from) this.#react(packet.messageId, packet.emoji, from);
				break;
		}
		return true;
	}

	/** Text from a client that uses LiveKit's own chat stream. */
	receiveText(id: string, text: string, timestamp: number, sender: Person): void {
		this.#arrived(
			{
				type: 'chat',
				id,
				timestamp,
				senderName: sender.name,
				senderIdentity: sender.identity,
				message: text,
				attachments: [],
			},
			sender,
		);
	}

	async say(text: string): Promise<void> {
		const trimmed = text.trim();
		if (!trimmed) return;
		const { identity, name } = this.me();
		const line: ChatLine = {
			id: newId(),
			timestamp: Date.now(),
			identity,
			name,
			own: true,
			text: trimmed,
			attachments: [],
			status: 'sending',
		};
		this.#add(line);
		await this.#transmit(line);
	}

	async retry(id: string): Promise<void> {
		const line = this.lines.find((candidate) => candidate.id === id && candidate.status === 'failed');
		if (line) await this.#transmit(line);
	}

	/** Called when the room is back: what could not be sent goes out now. */
	async retryAll(): Promise<void> {
		for (const line of this.lines) if (line.status === 'failed') await this.#transmit(line);
	}

	async react(messageId: string, emoji: string): Promise<void> {
		const { identity } = this.me();
		await this.send(encodeReaction(messageId, emoji, identity));
		this.#react(messageId, emoji, identity);
	}

	async #transmit(line: ChatLine): Promise<void> {
		this.#status(line.id, 'sending');
		const message: ChatMessage = {
			type: 'chat',
			id: line.id,
			timestamp: line.timestamp,
			senderName: line.name,
			senderIdentity: line.identity,
			message: line.text,
			attachments: line.attachments,
		};
		try {
			for (const packet of encodeMessage(message)) await this.send(packet);
			this.#status(line.id, 'sent');
		} catch {
			this.#status(line.id, 'failed');
		}
	}

	#arrived(message: ChatMessage, sender: Person | undefined): void {
		if (this.lines.some((line) => line.id === message.id)) return;
		const own = sender?.identity === this.me().identity;
		const line: ChatLine = {
			id: message.id,
			timestamp: message.timestamp || Date.now(),
			identity: sender?.identity ?? '',
			name: sender?.name ?? message.senderName,
			own,
			text: message.message,
			attachments: message.attachments,
			status: 'sent',
		};
		this.#add(line);
		if (own) return;
		if (!this.open) this.unread++;
		this.onmessage(line);
	}

	#react(messageId: string, emoji: string, identity: string): void {
		if (!this.lines.some((line) => line.id === messageId)) return;
		const votes = new Map(this.reactions.get(messageId));
		if (votes.get(identity) === emoji) votes.delete(identity);
		else votes.set(identity, emoji);
		this.reactions.set(messageId, votes);
	}

	#add(line: ChatLine): void {
		this.lines = [...this.lines, line].slice(-mostLines);
		this.#store();
	}

	#status(id: string, status: ChatStatus): void {
		this.lines = this.lines.map((line) => (line.id === id ? { ...line, status } : line));
		this.#store();
	}

	#store(): void {
		writeJson('session', this.#key, this.lines.slice(-mostStored));
	}
}

/** A UUID also where the page is not a secure context and `randomUUID` is missing. */
function newId(): string {
	if (crypto.randomUUID) return crypto.randomUUID();
	const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
	return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}
