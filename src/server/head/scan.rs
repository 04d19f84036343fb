//! Where a head ends.

use super::{HeadLimits, MAX_HEADERS, Refusal, lift};

/// What is known of a head so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its end has not come.
    More,
    /// It ends before this byte.
    Complete(usize),
    /// It never will be taken.
    Refused(Refusal),
}

/// Looks at each byte once, however small the pieces are in which a head comes.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    line_start: usize,
    scanned: usize,
    lines: usize,
}

impl Scanner {
    /// Goes on with a buffer that has grown. It begins with the request line.
    pub(super) fn advance(&mut self, buf: &[u8], limits: &HeadLimits) -> Progress {
        while let Some(offset) =
            buf.get(self.scanned..).and_then(|rest| rest.iter().position(|b| *b == b'\n'))
        {
            let end = self.scanned + offset;
            let line = buf.get(self.line_start..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            (self.scanned, self.line_start) = (end + 1, end + 1);
            if line.is_empty() {
                return match self.too_large(end + 1, buf, limits) {
                    Some(refusal) => Progress::Refused(refusal),
                    None => Progress::Complete(end + 1),
                };
            }
            self.lines += 1;
            // The request line is one of them.
            if self.lines > MAX_HEADERS + 1 {
                return Progress::Refused(Refusal::Headers);
            }
        }
        self.scanned = buf.len();
        self.too_large(buf.len(), buf, limits).map_or(Progress::More, Progress::Refused)
    }

    /// Nothing was looked at yet.
    pub(super) fn is_at_start(&self) -> bool {
        self.scanned == 0
    }

    fn too_large(&self, len: usize, buf: &[u8], limits: &HeadLimits) -> Option<Refusal> {
        let max =
            if len > limits.plain() && lift::is_long_route(buf) { limits.long() } else { limits.plain() };
        let what = if self.lines == 0 { Refusal::Address } else { Refusal::Headers };
        (len > max).then_some(what)
    }
}
