use crate::StreamId;
use crate::chunk::chunk_payload_data::{ChunkPayloadData, PayloadProtocolIdentifier};
use crate::error::{Error, Result};
use crate::util::*;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// A chunk of data from the stream
#[derive(Debug, PartialEq)]
pub struct Chunk {
    /// The contents of the chunk
    pub bytes: Bytes,
}

/// Chunks is a set of chunks that share the same SSN
#[derive(Default, Debug, Clone)]
pub struct Chunks {
    /// used only with the ordered chunks
    pub(crate) ssn: u16,
    pub ppi: PayloadProtocolIdentifier,
    pub chunks: Vec<ChunkPayloadData>,
    offset: usize,
    index: usize,
}

impl Chunks {
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        let mut l = 0;
        for c in &self.chunks {
            l += c.user_data.len();
        }
        l
    }

    // Concat all fragments into the buffer
    pub fn read(&self, buf: &mut [u8]) -> Result<usize> {
        let mut n_written = 0;
        for c in &self.chunks {
            let to_copy = c.user_data.len();
            let n = core::cmp::min(to_copy, buf.len() - n_written);
            buf[n_written..n_written + n].copy_from_slice(&c.user_data[..n]);
            n_written += n;
            if n < to_copy {
                return Err(Error::ErrShortBuffer);
            }
        }
        Ok(n_written)
    }

    pub fn next(&mut self, max_length: usize) -> Option<Chunk> {
        if self.index >= self.chunks.len() {
            return None;
        }

        let mut buf = BytesMut::with_capacity(max_length);

        let mut n_written = 0;
        while self.index < self.chunks.len() {
            let to_copy = self.chunks[self.index].user_data[self.offset..].len();
            let n = core::cmp::min(to_copy, max_length - n_written);
            buf.extend_from_slice(&self.chunks[self.index].user_data[self.offset..self.offset + n]);
            n_written += n;
            if n < to_copy {
                self.offset += n;
                return Some(Chunk {
                    bytes: buf.freeze(),
                });
            }
            self.index += 1;
            self.offset = 0;
        }

        Some(Chunk {
            bytes: buf.freeze(),
        })
    }

    pub(crate) fn new(
        ssn: u16,
        ppi: PayloadProtocolIdentifier,
        chunks: Vec<ChunkPayloadData>,
    ) -> Self {
        Chunks {
            ssn,
            ppi,
            chunks,
            offset: 0,
            index: 0,
        }
    }
}

/// TSNs as numbers that do not wrap, so that they can be keys. Values are within 2^31 of the newest one.
#[derive(Debug, Default, Clone, Copy)]
struct TsnKeys {
    newest: Option<(u32, i64)>,
}

impl TsnKeys {
    fn key(&self, tsn: u32) -> i64 {
        match self.newest {
            Some((newest, key)) => key + i64::from(tsn.wrapping_sub(newest) as i32),
            None => 0,
        }
    }

    fn insert(&mut self, tsn: u32) -> i64 {
        let key = self.key(tsn);
        if self.newest.is_none_or(|(_, newest)| newest < key) {
            self.newest = Some((tsn, key));
        }
        key
    }
}

/// The fragments of one ordered message, complete or not. Every operation is logarithmic in their number.
#[derive(Debug, Clone)]
pub(crate) struct OrderedMessage {
    pub(crate) ssn: u16,
    ppi: PayloadProtocolIdentifier,
    fragments: BTreeMap<i64, ChunkPayloadData>,
    keys: TsnKeys,
    n_bytes: usize,
}

impl OrderedMessage {
    pub(crate) fn new(ssn: u16, ppi: PayloadProtocolIdentifier) -> Self {
        OrderedMessage {
            ssn,
            ppi,
            fragments: BTreeMap::new(),
            keys: TsnKeys::default(),
            n_bytes: 0,
        }
    }

    pub(crate) fn chunks(&self) -> impl Iterator<Item = &ChunkPayloadData> {
        self.fragments.values()
    }

    pub(crate) fn n_chunks(&self) -> usize {
        self.fragments.len()
    }

    /// Stores a fragment. False for a duplicate.
    pub(crate) fn push(&mut self, chunk: ChunkPayloadData) -> bool {
        let key = self.keys.insert(chunk.tsn);
        if self.fragments.contains_key(&key) {
            return false;
        }
        self.n_bytes += chunk.user_data.len();
        self.fragments.insert(key, chunk);
        true
    }

    /// Has a beginning and an end, and (RFC 4960 section 3.3.1) strictly sequential TSNs between them.
    pub(crate) fn is_complete(&self) -> bool {
        let (Some((first_key, first)), Some((last_key, last))) = (
            self.fragments.first_key_value(),
            self.fragments.last_key_value(),
        ) else {
            return false;
        };
        first.beginning_fragment
            && last.ending_fragment
            && last_key - first_key + 1 == self.fragments.len() as i64
    }

    fn is_missing_tsn_at_or_before(&self, cumulative_tsn: u32) -> bool {
        let (Some((_, first)), Some((_, last))) = (
            self.fragments.first_key_value(),
            self.fragments.last_key_value(),
        ) else {
            return false;
        };
        if !first.beginning_fragment && sna32lte(first.tsn.wrapping_sub(1), cumulative_tsn) {
            return true;
        }
        let mut previous = first.tsn;
        for chunk in self.chunks().skip(1) {
            let missing_tsn = previous.wrapping_add(1);
            if missing_tsn != chunk.tsn && sna32lte(missing_tsn, cumulative_tsn) {
                return true;
            }
            previous = chunk.tsn;
        }
        !last.ending_fragment && sna32lte(last.tsn.wrapping_add(1), cumulative_tsn)
    }

    fn into_chunks(self) -> Chunks {
        Chunks::new(self.ssn, self.ppi, self.fragments.into_values().collect())
    }
}

/// A run of consecutive fragments of one unordered message.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Key of its last fragment.
    end: i64,
    n_bytes: usize,
    begins: bool,
    ends: bool,
}

#[derive(Default, Debug)]
pub(crate) struct ReassemblyQueue {
    pub(crate) si: StreamId,
    pub(crate) next_ssn: u16,
    /// The key that `next_ssn` has in `ordered`.
    next_key: i64,
    /// expected SSN for next ordered chunk
    pub(crate) ordered: BTreeMap<i64, OrderedMessage>,
    pub(crate) unordered: VecDeque<Chunks>,
    pub(crate) unordered_chunks: BTreeMap<i64, ChunkPayloadData>,
    /// `unordered_chunks` by message: the key of the first fragment of each run.
    runs: BTreeMap<i64, Run>,
    unordered_keys: TsnKeys,
    pub(crate) n_bytes: usize,
    n_chunks: usize,
    pub(crate) max_message_size: u32,
}

impl ReassemblyQueue {
    /// From RFC 4960 Sec 6.5:
    ///   The Stream Sequence Number in all the streams MUST start from 0 when
    ///   the association is Established.  Also, when the Stream Sequence
    ///   Number reaches the value 65535 the next Stream Sequence Number MUST
    ///   be set to 0.
    pub(crate) fn new(si: StreamId, max_message_size: u32) -> Self {
        ReassemblyQueue {
            si,
            max_message_size,
            ..Default::default()
        }
    }

    fn ssn_key(&self, ssn: u16) -> i64 {
        self.next_key + i64::from(ssn.wrapping_sub(self.next_ssn) as i16)
    }

    fn advance_next_ssn(&mut self, to: u16) {
        self.next_key += i64::from(to.wrapping_sub(self.next_ssn));
        self.next_ssn = to;
    }

    /// Stores a chunk; true when it completed a message.
    pub(crate) fn push(&mut self, chunk: ChunkPayloadData) -> Result<bool> {
        if chunk.stream_identifier != self.si {
            return Ok(false);
        }
        let n_bytes = chunk.user_data.len();

        if chunk.unordered {
            return self.push_unordered(chunk);
        }

        // This is an ordered chunk
        let ssn = chunk.stream_sequence_number;
        let key = self.ssn_key(ssn);
        let existing = self.ordered.get(&key).map_or(0, |m| m.n_bytes);
        if existing + n_bytes > self.max_message_size as usize {
            return Err(Error::ErrInboundPacketTooLarge);
        }
        if sna16lt(ssn, self.next_ssn) {
            return Ok(false);
        }

        let message = self
            .ordered
            .entry(key)
            .or_insert_with(|| OrderedMessage::new(ssn, chunk.payload_type));
        if !message.push(chunk) {
            return Ok(false);
        }
        let complete = message.is_complete();
        self.n_bytes += n_bytes;
        self.n_chunks += 1;
        Ok(complete)
    }

    fn push_unordered(&mut self, chunk: ChunkPayloadData) -> Result<bool> {
        let key = self.unordered_keys.insert(chunk.tsn);
        if self.unordered_chunks.contains_key(&key) {
            return Ok(false);
        }
        let n_bytes = chunk.user_data.len();

        let before = if chunk.beginning_fragment {
            None
        } else {
            self.runs
                .range(..key)
                .next_back()
                .filter(|(_, run)| run.end == key - 1 && !run.ends)
                .map(|(start, run)| (*start, *run))
        };
        let after = if chunk.ending_fragment {
            None
        } else {
            self.runs.get(&(key + 1)).filter(|run| !run.begins).copied()
        };
        let run = Run {
            end: after.map_or(key, |run| run.end),
            n_bytes: n_bytes
                + before.map_or(0, |(_, run)| run.n_bytes)
                + after.map_or(0, |run| run.n_bytes),
            begins: chunk.beginning_fragment || before.is_some_and(|(_, run)| run.begins),
            ends: chunk.ending_fragment || after.is_some_and(|run| run.ends),
        };
        if run.n_bytes > self.max_message_size as usize {
            return Err(Error::ErrInboundPacketTooLarge);
        }

        self.unordered_chunks.insert(key, chunk);
        self.n_bytes += n_bytes;
        self.n_chunks += 1;
        if after.is_some() {
            self.runs.remove(&(key + 1));
        }
        let start = before.map_or(key, |(start, _)| start);
        if !(run.begins && run.ends) {
            self.runs.insert(start, run);
            return Ok(false);
        }

        self.runs.remove(&start);
        let chunks: Vec<ChunkPayloadData> = (start..=run.end)
            .filter_map(|key| self.unordered_chunks.remove(&key))
            .collect();
        let ppi = chunks
            .first()
            .map_or_else(Default::default, |c| c.payload_type);
        self.unordered.push_back(Chunks::new(0, ppi, chunks));
        Ok(true)
    }

    pub(crate) fn is_readable(&self) -> bool {
        // The chunk sets in unordered are all complete.
        !self.unordered.is_empty()
            || self
                .ordered
                .first_key_value()
                .is_some_and(|(key, m)| *key <= self.next_key && m.is_complete())
    }

    pub(crate) fn read(&mut self) -> Option<Chunks> {
        let chunks = if let Some(chunks) = self.unordered.pop_front() {
            chunks
        } else {
            let first = self.ordered.first_entry()?;
            if *first.key() > self.next_key || !first.get().is_complete() {
                return None;
            }
            let next = *first.key() == self.next_key;
            let message = first.remove();
            if next {
                self.advance_next_ssn(self.next_ssn.wrapping_add(1));
            }
            message.into_chunks()
        };

        self.subtract_num_bytes(chunks.len());
        self.n_chunks = self.n_chunks.saturating_sub(chunks.chunks.len());

        Some(chunks)
    }

    /// Removes the messages with the given keys.
    fn drop_ordered(&mut self, keys: &[i64]) {
        for key in keys {
            if let Some(message) = self.ordered.remove(key) {
                self.subtract_num_bytes(message.n_bytes);
                self.n_chunks = self.n_chunks.saturating_sub(message.n_chunks());
            }
        }
    }

    /// Use last_ssn to locate a chunkSet then remove it if the set has
    /// not been complete
    pub(crate) fn forward_tsn_for_ordered(&mut self, last_ssn: u16) {
        let abandoned: Vec<i64> = self
            .ordered
            .range(..=self.ssn_key(last_ssn))
            .filter(|(_, m)| !m.is_complete())
            .map(|(key, _)| *key)
            .collect();
        self.drop_ordered(&abandoned);

        // Finally, forward next_ssn
        if sna16lte(self.next_ssn, last_ssn) {
            self.advance_next_ssn(last_ssn.wrapping_add(1));
        }
    }

    /// Apply an ordered Forward-TSN retained across a stream reset without
    /// crossing into messages whose TSNs are newer than its cumulative point.
    pub(crate) fn forward_tsn_for_ordered_bounded(
        &mut self,
        last_ssn: u16,
        new_cumulative_tsn: u32,
    ) {
        let first_unaffected_ssn = self
            .ordered
            .values()
            .filter(|chunks| {
                sna16lte(chunks.ssn, last_ssn)
                    && if chunks.is_complete() {
                        chunks
                            .chunks()
                            .any(|chunk| sna32gt(chunk.tsn, new_cumulative_tsn))
                    } else {
                        !chunks.is_missing_tsn_at_or_before(new_cumulative_tsn)
                    }
            })
            .map(|chunks| chunks.ssn)
            .reduce(|first, candidate| {
                if sna16lt(candidate, first) {
                    candidate
                } else {
                    first
                }
            });

        let abandoned: Vec<i64> = self
            .ordered
            .iter()
            .filter(|(_, chunks)| {
                sna16lte(chunks.ssn, last_ssn)
                    && !chunks.is_complete()
                    && chunks.is_missing_tsn_at_or_before(new_cumulative_tsn)
            })
            .map(|(key, _)| *key)
            .collect();
        self.drop_ordered(&abandoned);

        let next_ssn = first_unaffected_ssn.unwrap_or_else(|| last_ssn.wrapping_add(1));
        if sna16lt(self.next_ssn, next_ssn) {
            self.advance_next_ssn(next_ssn);
        }
    }

    /// The highest prefix of an ambiguous deferred ordered skip that has
    /// enough TSN context to advance without overtaking a missing successor.
    pub(crate) fn applicable_forward_tsn_for_ordered_bounded(
        &self,
        last_ssn: u16,
        new_cumulative_tsn: u32,
        peer_last_tsn: u32,
    ) -> Option<u16> {
        if sna16gt(self.next_ssn, last_ssn) {
            return Some(last_ssn);
        }

        let is_covered = |chunks: &OrderedMessage| {
            if chunks.is_complete() {
                chunks
                    .chunks()
                    .all(|chunk| sna32lte(chunk.tsn, new_cumulative_tsn))
            } else {
                chunks.is_missing_tsn_at_or_before(new_cumulative_tsn)
            }
        };
        if self.ordered.values().any(|chunks| {
            chunks.ssn == last_ssn && (chunks.ssn == self.next_ssn || is_covered(chunks))
        }) {
            return Some(last_ssn);
        }

        let has_resolved_later_tsn = self
            .ordered
            .values()
            .filter(|chunks| chunks.ssn == last_ssn || sna16gt(chunks.ssn, last_ssn))
            .flat_map(|chunks| chunks.chunks())
            .map(|chunk| chunk.tsn)
            .reduce(|first, candidate| {
                if sna32lt(candidate, first) {
                    candidate
                } else {
                    first
                }
            })
            .is_some_and(|first_tsn| sna32lte(first_tsn, peer_last_tsn));
        if has_resolved_later_tsn {
            return Some(last_ssn);
        }

        self.ordered
            .values()
            .filter(|chunks| {
                (chunks.ssn == self.next_ssn || sna16gt(chunks.ssn, self.next_ssn))
                    && sna16lt(chunks.ssn, last_ssn)
                    && (is_covered(chunks)
                        || chunks
                            .chunks()
                            .next()
                            .is_some_and(|chunk| sna32lte(chunk.tsn, peer_last_tsn)))
            })
            .map(|chunks| chunks.ssn)
            .reduce(|last, candidate| {
                if sna16gt(candidate, last) {
                    candidate
                } else {
                    last
                }
            })
    }

    /// Remove all fragments in the unordered sets that contains chunks
    /// equal to or older than `new_cumulative_tsn`.
    /// We know all sets in the r.unordered are complete ones.
    /// The work is proportional to what is removed.
    /// Just remove chunks that are equal to or older than new_cumulative_tsn
    /// from the unordered_chunks
    pub(crate) fn forward_tsn_for_unordered(&mut self, new_cumulative_tsn: u32) {
        let last = self.unordered_keys.key(new_cumulative_tsn);
        while let Some(first) = self.unordered_chunks.first_entry() {
            if *first.key() > last {
                break;
            }
            let n_bytes = first.remove().user_data.len();
            self.subtract_num_bytes(n_bytes);
            self.n_chunks = self.n_chunks.saturating_sub(1);
        }
        while let Some(first) = self.runs.first_entry() {
            if *first.key() > last {
                break;
            }
            let run = first.remove();
            if run.end > last {
                // What is left of a message without its beginning: it never completes, and goes with a later call.
                let n_bytes = self
                    .unordered_chunks
                    .range(..=run.end)
                    .map(|(_, c)| c.user_data.len())
                    .sum();
                let rest = Run {
                    n_bytes,
                    begins: false,
                    ..run
                };
                self.runs.insert(last + 1, rest);
                break;
            }
        }
        if self.unordered_chunks.is_empty() {
            self.unordered_keys = TsnKeys::default();
        }
    }

    pub(crate) fn subtract_num_bytes(&mut self, n_bytes: usize) {
        if self.n_bytes >= n_bytes {
            self.n_bytes -= n_bytes;
        } else {
            self.n_bytes = 0;
        }
    }

    pub(crate) fn get_num_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Fragments stored, of complete and incomplete messages.
    pub(crate) fn get_num_chunks(&self) -> usize {
        self.n_chunks
    }
}
