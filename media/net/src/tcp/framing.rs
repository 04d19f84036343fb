//! RFC 4571 framing: a 16-bit length before every packet.

/// Largest frame taken. Media and DTLS stay below the path MTU; this leaves room for odd stacks.
pub const MAX_FRAME: usize = 8192;
/// Room a connection starts with, enough for two packets.
const INITIAL: usize = 4096;

/// The stream is not one of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length above [`MAX_FRAME`].
    #[error("frame of {0} bytes is too long")]
    TooLong(usize),
}

/// Splits a byte stream into frames in place.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self { buffer: vec![0; INITIAL], start: 0, end: 0 }
    }
}

impl FrameReader {
    /// Room to read into, never empty; report what was read with [`FrameReader::filled`].
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let larger = (self.buffer.len() * 2).min(2 * MAX_FRAME);
            self.buffer.resize(larger.max(self.end + 1), 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// `n` bytes of the last [`FrameReader::space`] hold data now.
    pub fn filled(&mut self, n: usize) {
        self.end = (self.end + n).min(self.buffer.len());
    }

    /// Appends bytes that were read elsewhere. Take the frames out before appending more.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let n = space.len().min(bytes.len());
            let (now, later) = bytes.split_at(n);
            if let Some(room) = space.get_mut(..n) {
                room.copy_from_slice(now);
            }
            self.filled(n);
            bytes = later;
        }
    }

    /// Bytes not yet taken out.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The next whole frame, without its length. Empty frames are skipped.
    ///
    /// # Errors
    /// [`FrameError`] when the stream cannot be followed any further.
    pub fn next_frame(&mut self) -> Result<Option<&mut [u8]>, FrameError> {
        loop {
            let Some(&[high, low]) = self.buffered().first_chunk::<2>() else { return Ok(None) };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length > MAX_FRAME {
                return Err(FrameError::TooLong(length));
            }
            if self.end - self.start < 2 + length {
                return Ok(None);
            }
            let at = self.start + 2;
            self.start = at + length;
            if length > 0 {
                return Ok(self.buffer.get_mut(at..at + length));
            }
        }
    }
}

/// Appends a packet with its length. False when it is empty or longer than a length can say.
#[must_use]
pub fn write_frame(out: &mut Vec<u8>, packet: &[u8]) -> bool {
    let Ok(length @ 1..) = u16::try_from(packet.len()) else { return false };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(packet);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_may_arrive_byte_by_byte() {
        let mut reader = FrameReader::default();
        for byte in [0, 3, 7, 8] {
            reader.push(&[byte]);
            assert_eq!(reader.next_frame(), Ok(None));
        }
        reader.push(&[9, 0, 0, 0, 1]);
        assert_eq!(reader.next_frame().unwrap().unwrap(), [7, 8, 9]);
        assert_eq!(reader.next_frame(), Ok(None), "the empty frame is skipped, the next one incomplete");
        reader.push(&[5]);
        assert_eq!(reader.next_frame().unwrap().unwrap(), [5]);
    }

    #[test]
    fn a_frame_beyond_the_limit_ends_the_stream() {
        let mut reader = FrameReader::default();
        reader.push(&[0xff, 0xff, 0, 1]);
        assert_eq!(reader.next_frame(), Err(FrameError::TooLong(65_535)));
        let mut reader = FrameReader::default();
        let mut stream = vec![];
        assert!(write_frame(&mut stream, &[1; MAX_FRAME]));
        reader.push(&stream);
        assert_eq!(reader.next_frame().unwrap().unwrap().len(), MAX_FRAME);
        assert!(!write_frame(&mut stream, &[]));
        assert!(!write_frame(&mut stream, &[0; 65_536]));
    }

    proptest! {
        #[test]
        fn joined_packets_split_again_however_they_are_cut(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..1600), 0..20),
            cuts in prop::collection::vec(1usize..2000, 1..50),
        ) {
            let mut stream = vec![];
            for p in &packets {
                prop_assert!(write_frame(&mut stream, p));
            }
            let mut reader = FrameReader::default();
            let mut got: Vec<Vec<u8>> = vec![];
            let mut rest = stream.as_slice();
            for n in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let space = reader.space();
                let n = (*n).min(rest.len()).min(space.len());
                space[..n].copy_from_slice(&rest[..n]);
                reader.filled(n);
                rest = &rest[n..];
                while let Some(frame) = reader.next_frame().unwrap() {
                    got.push(frame.to_vec());
                }
            }
            prop_assert_eq!(got, packets);
            prop_assert!(reader.buffered().is_empty());
        }

        #[test]
        fn any_bytes_leave_a_bounded_buffer(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..20)) {
            let mut reader = FrameReader::default();
            for chunk in chunks {
                reader.push(&chunk);
                while let Ok(Some(_)) = reader.next_frame() {}
                if reader.next_frame().is_err() {
                    break;
                }
                prop_assert!(reader.buffered().len() <= MAX_FRAME + 2);
            }
        }
    }
}
