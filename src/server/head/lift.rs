//! Moves what is long out of a head.

use super::{HeadLimits, LongQuery, Refusal};
use axum::http::HeaderValue;
use bytes::{Bytes, BytesMut};

/// First segments of the routes whose clients put tokens and join requests into addresses.
const LONG_ROUTES: [&[u8]; 5] = [b"rtc", b"agent", b"whip", b"whep", b"twirp"];
/// The prefix under which the platform has the same routes.
const PREFIX: &[u8] = b"livekit/";
/// An `Authorization` of at least this size is taken off a long head, bytes.
const LONG_VALUE: usize = 4096;

/// What was moved out of a head.
#[derive(Debug, Default)]
pub(super) struct Lifted {
    pub(super) query: Option<LongQuery>,
    pub(super) authorization: Option<HeaderValue>,
}

/// True when a head that begins so may be long.
pub(super) fn is_long_route(head: &[u8]) -> bool {
    let Some(space) = head.iter().position(|b| *b == b' ') else { return false };
    let target = head.get(space + 1..).unwrap_or_default();
    let end = target.iter().position(|b| b" ?\r\n".contains(b)).unwrap_or(target.len());
    let path = origin_form(target.get(..end).unwrap_or_default());
    let start = path.iter().position(|b| *b != b'/').unwrap_or(path.len());
    let path = path.get(start..).unwrap_or_default();
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    let first = path.split(|b| *b == b'/').next().unwrap_or_default();
    LONG_ROUTES.contains(&first)
}

/// The path of an address in absolute form (RFC 9112 section 3.2.2).
fn origin_form(target: &[u8]) -> &[u8] {
    let rest = target.strip_prefix(b"http://").or_else(|| target.strip_prefix(b"https://"));
    let Some(rest) = rest else { return target };
    let slash = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
    rest.get(slash..).unwrap_or_default()
}

/// Splits a complete head into what the parser gets and what handlers get. Short heads stay as they are. Nothing that is
/// moved holds the end of a line, so the lines that stay are those that came.
pub(super) fn lift(head: &Bytes, limits: &HeadLimits) -> Result<(Bytes, Lifted), Refusal> {
    let plain = limits.plain();
    if head.len() <= plain {
        return Ok((head.clone(), Lifted::default()));
    }
    let mut lifted = Lifted::default();
    let mut out = BytesMut::with_capacity(plain.min(head.len()));
    let mut authorization_seen = false;
    for (number, line) in head.split_inclusive(|b| *b == b'\n').enumerate() {
        if number == 0 {
            let query = query(line);
            lifted.query = query.map(|q| LongQuery(head.slice_ref(q)));
            let kept = query.map_or(line.len(), |q| line.len() - q.len());
            if kept > plain {
                return Err(Refusal::Address);
            }
            push_without(&mut out, line, query);
            continue;
        }
        if let Some(value) = authorization(line).filter(|_| !std::mem::replace(&mut authorization_seen, true))
            && value.len() >= LONG_VALUE
            && let Ok(value) = HeaderValue::from_maybe_shared(head.slice_ref(value))
        {
            lifted.authorization = Some(value);
            continue;
        }
        if out.len() + line.len() > plain {
            return Err(Refusal::Headers);
        }
        out.extend_from_slice(line);
    }
    if out.len() > plain { Err(Refusal::Headers) } else { Ok((out.freeze(), lifted)) }
}

/// What stands between `?` and the version in a request line.
fn query(line: &[u8]) -> Option<&[u8]> {
    let start = line.iter().position(|b| *b == b'?')? + 1;
    let rest = line.get(start..)?;
    rest.get(..rest.iter().position(|b| b" #\r\n".contains(b))?)
}

fn push_without(out: &mut BytesMut, line: &[u8], part: Option<&[u8]>) {
    let Some(part) = part.filter(|part| !part.is_empty()) else { return out.extend_from_slice(line) };
    let start = line.iter().position(|b| *b == b'?').map_or(line.len(), |at| at + 1);
    out.extend_from_slice(line.get(..start).unwrap_or_default());
    out.extend_from_slice(line.get(start + part.len()..).unwrap_or_default());
}

/// The value of an `Authorization` line.
fn authorization(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    name.eq_ignore_ascii_case(b"authorization").then(|| value.trim_ascii())
}
