//! RFC 4571 framing and the first bytes of a TCP connection.

use bedrud_net::{FrameReader, MAX_FRAME, SNIFF_BYTES, Sniff, sniff, write_frame};

/// The stream is fed whole and in pieces (of the size the first byte says): both ways give the same frames, and these
/// framed again and read again give themselves.
pub fn run(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else { return };
    let whole = frames(stream.chunks(MAX_FRAME));
    let pieces = frames(stream.chunks(usize::from(*first).max(1)));
    assert_eq!(whole, pieces);
    let mut again = Vec::new();
    for frame in &whole {
        assert!(!frame.is_empty() && frame.len() <= MAX_FRAME);
        assert!(write_frame(&mut again, frame));
    }
    assert_eq!(frames(again.chunks(100)), whole);

    // A verdict never changes with more bytes.
    let mut decided = None;
    for len in 0..=stream.len().min(2 * SNIFF_BYTES) {
        let verdict = sniff(&stream[..len]);
        match decided {
            Some(before) => assert_eq!(verdict, before, "after {len} bytes"),
            None if verdict != Sniff::NeedMore => decided = Some(verdict),
            None => assert!(len < SNIFF_BYTES, "undecided after {len} bytes"),
        }
    }
}

/// Frames up to the end or the first error.
fn frames<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut reader = FrameReader::default();
    let mut out = Vec::new();
    for chunk in chunks {
        reader.push(chunk);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => out.push(frame.to_vec()),
                Ok(None) => break,
                Err(_) => return out,
            }
        }
        assert!(reader.buffered().len() <= MAX_FRAME + 2);
    }
    out
}
