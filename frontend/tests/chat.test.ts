import { describe, expect, it } from 'vitest';
import { ChatAssembler } from '../src/lib/wire/assembler';
import {
	type ChatMessage,
	type Chunk,
	type ChunkMeta,
	decodePacket,
	encodeMessage,
	maxPacketBytes,
} from '../src/lib/wire/chat';

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const message = (text: string): ChatMessage => ({
	type: 'chat',
	id: '8a1f',
	timestamp: 1_700_000_000_000,
	senderName: 'Ana',
	senderIdentity: 'u-1',
	message: text,
	attachments: [],
});

describe('a chat message on the wire', () => {
	it('goes out whole on topic chat with the keys every client reads', () => {
		const [packet, ...more] = encodeMessage(message('hello'));
		expect(more).toEqual([]);
		expect(packet?.topic).toBe('chat');
		expect(JSON.parse(new TextDecoder().decode(packet?.payload))).toEqual({
			type: 'chat',
			id: '8a1f',
			timestamp: 1_700_000_000_000,
			senderName: 'Ana',
			senderIdentity: 'u-1',
			message: 'hello',
			attachments: [],
		});
	});

	it('is read back as it was sent', () => {
		const sent = message('naïve 😀 "quoted"');
		expect(decodePacket('chat', encodeMessage(sent)[0]?.payload as Uint8Array)).toEqual(sent);
	});

	it('is taken on the alias topics, and on any topic when its type says chat', () => {
		for (const topic of ['lk.chat', 'lk-chat-topic', 'something', undefined]) {
			expect(decodePacket(topic, bytes(message('x')))).toMatchObject({ message: 'x' });
		}
		expect(decodePacket('other', bytes({ type: 'reaction', messageId: 'm', emoji: '👍' }))).toBeNull();
	});

	it('is refused when it is not JSON, not an object, without id or too large', () => {
		expect(decodePacket('chat', new Uint8Array([0xff, 0x00, 0x7b]))).toBeNull();
		expect(decodePacket('chat', bytes([1, 2]))).toBeNull();
		expect(decodePacket('chat', bytes({ type: 'chat', message: 'no id' }))).toBeNull();
		expect(decodePacket('chat', bytes({ type: 'chat', id: 'x', message: 7 }))).toBeNull();
		expect(decodePacket('chat', new Uint8Array(70_000))).toBeNull();
	});

	it('keeps only attachments that have an address, and infers an image from its type', () => {
		const raw = {
			...message(''),
			attachments: [{ url: '/uploads/chat/a.png', mime: 'image/png' }, { kind: 'image' }, null, 3],
		};
		expect(decodePacket('chat', bytes(raw))).toMatchObject({
			attachments: [{ kind: 'image', url: '/uploads/chat/a.png', mime: 'image/png', size: 0 }],
		});
	});
});

describe('a long message', () => {
	const long = message('ä"\n😀'.repeat(20_000));
	const packets = encodeMessage(long);

	it('is cut into packets below the limit, off the topic that some clients show as it is', () => {
		expect(packets.length).toBeGreaterThan(2);
		for (const { topic, payload } of packets) {
			expect(topic).toBe('lk.chat');
			expect(payload.length).toBeLessThanOrEqual(maxPacketBytes);
		}
	});

	it('comes together in any order of its parts', () => {
		const decoded = packets.map(({ topic, payload }) => decodePacket(topic, payload));
		const assembler = new ChatAssembler();
		assembler.begin('u-1', decoded[0] as ChunkMeta, 0);
		const results = decoded
			.slice(1)
			.reverse()
			.map((chunk) => assembler.add('u-1', chunk as Chunk, 1));
		expect(results.filter(Boolean)).toHaveLength(1);
		expect(results.at(-1)?.message).toBe(long.message);
	});

	it('cannot be completed by somebody else, twice, or after it has expired', () => {
		const meta: ChunkMeta = {
			...(decodePacket('lk.chat', packets[0]?.payload as Uint8Array) as ChunkMeta),
			messageChunks: 1,
		};
		const chunk: Chunk = { type: 'chat_chunk', id: meta.id, kind: 'message', index: 0, part: 'x' };
		const assembler = new ChatAssembler();
		assembler.begin('u-1', meta, 0);
		expect(assembler.add('u-2', chunk, 1)).toBeNull();
		expect(assembler.add('u-1', chunk, 1)?.message).toBe('x');
		expect(assembler.add('u-1', chunk, 1)).toBeNull();
		assembler.begin('u-1', meta, 0);
		expect(assembler.add('u-1', chunk, 120_001)).toBeNull();
	});

	it('of an unreasonable number of parts is refused', () => {
		const meta = { type: 'chat_chunk_meta', id: 'x', messageChunks: 100_000, attachmentChunks: 0, pollChunks: 0 };
		expect(decodePacket('lk.chat', bytes(meta))).toBeNull();
		expect(decodePacket('lk.chat', bytes({ ...meta, messageChunks: 0 }))).toBeNull();
	});
});
