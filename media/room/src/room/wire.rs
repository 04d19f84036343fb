//! Rewrites single fields of encoded protobuf messages and leaves every other byte alone, so that fields of newer
//! clients pass through unharmed.

use prost::encoding::{decode_varint, encode_varint};

/// One field as it stands in the message.
struct Field<'a> {
    number: u64,
    /// Tag, length and value.
    raw: &'a [u8],
    /// Bytes of a length-delimited field.
    value: Option<&'a [u8]>,
}

fn next_field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let start = *rest;
    let tag = decode_varint(rest).ok()?;
    let value = match tag & 7 {
        0 => {
            decode_varint(rest).ok()?;
            None
        }
        1 => {
            *rest = rest.get(8..)?;
            None
        }
        2 => {
            let len = usize::try_from(decode_varint(rest).ok()?).ok()?;
            let value = rest.get(..len)?;
            *rest = rest.get(len..)?;
            Some(value)
        }
        5 => {
            *rest = rest.get(4..)?;
            None
        }
        _ => return None,
    };
    let raw = start.get(..start.len() - rest.len())?;
    Some(Field { number: tag >> 3, raw, value })
}

fn put_bytes(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    if !value.is_empty() {
        encode_varint(number << 3 | 2, out);
        encode_varint(value.len() as u64, out);
        out.extend_from_slice(value);
    }
}

/// What reading a packet will take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Fields of the packet and of its value.
    fields: usize,
    /// Receivers named.
    pub(super) destinations: usize,
    /// Bytes of values that have many small parts.
    nested: usize,
}

impl Survey {
    /// The same in deliveries: a few dozen fields are read in the time a message is sent.
    pub(super) fn work(&self) -> u64 {
        (self.fields / 16 + self.nested / 128) as u64
    }
}

/// Counts the fields of an encoded `DataPacket` without reading them. Stops counting above `max_destinations`. `None` when
/// it is not well-formed.
pub(super) fn survey(packet: &[u8], max_destinations: usize) -> Option<Survey> {
    const USER: u64 = 2;
    const DESTINATIONS: u64 = 5;
    const USER_SIDS: u64 = 3;
    const USER_IDENTITIES: u64 = 6;
    /// User packets, calls, chunks and what is encrypted: one large value, if any.
    const PLAIN: [u64; 7] = [USER, 6, 10, 11, 12, 14, 18];
    let mut seen = Survey::default();
    let mut rest = packet;
    while !rest.is_empty() {
        let field = next_field(&mut rest)?;
        seen.fields += 1;
        match (field.number, field.value) {
            (DESTINATIONS, _) => seen.destinations += 1,
            (number, Some(value)) if PLAIN.contains(&number) => {
                let mut value = value;
                while !value.is_empty() {
                    let field = next_field(&mut value)?;
                    seen.fields += 1;
                    if number == USER && matches!(field.number, USER_SIDS | USER_IDENTITIES) {
                        seen.destinations += 1;
                        if seen.destinations > max_destinations {
                            return Some(seen);
                        }
                    }
                }
            }
            (_, Some(value)) => seen.nested += value.len(),
            _ => {}
        }
        if seen.destinations > max_destinations {
            return Some(seen);
        }
    }
    Some(seen)
}

/// Who sent a packet and to whom it goes, as the server knows it.
pub(super) struct Stamp<'a> {
    /// `DataPacket.kind`: 0 reliable, 1 lossy.
    pub(super) kind: i32,
    /// Blank for hidden senders.
    pub(super) sid: &'a str,
    /// `None` leaves what the sender wrote (agents speak for others).
    pub(super) identity: Option<&'a str>,
    /// Goes into packet and user packet alike.
    pub(super) destinations: &'a [String],
}

/// Stamps an encoded `DataPacket`. `None` when it is not well-formed.
pub(super) fn stamp(packet: &[u8], stamp: &Stamp<'_>) -> Option<Vec<u8>> {
    const KIND: u64 = 1;
    const USER: u64 = 2;
    const IDENTITY: u64 = 4;
    const DESTINATIONS: u64 = 5;
    const SID: u64 = 17;
    let mut out = Vec::with_capacity(packet.len() + 128);
    let mut rest = packet;
    while !rest.is_empty() {
        let field = next_field(&mut rest)?;
        match (field.number, field.value) {
            (KIND | DESTINATIONS | SID, _) => {}
            (IDENTITY, _) if stamp.identity.is_some() => {}
            (USER, Some(user)) => {
                let user = stamp_user(user, stamp)?;
                encode_varint(USER << 3 | 2, &mut out);
                encode_varint(user.len() as u64, &mut out);
                out.extend_from_slice(&user);
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
    if stamp.kind != 0 {
        encode_varint(KIND << 3, &mut out);
        encode_varint(u64::try_from(stamp.kind).unwrap_or(0), &mut out);
    }
    put_bytes(&mut out, SID, stamp.sid.as_bytes());
    put_bytes(&mut out, IDENTITY, stamp.identity.unwrap_or_default().as_bytes());
    for destination in stamp.destinations {
        put_bytes(&mut out, DESTINATIONS, destination.as_bytes());
    }
    Some(out)
}

fn stamp_user(user: &[u8], stamp: &Stamp<'_>) -> Option<Vec<u8>> {
    const SID: u64 = 1;
    const IDENTITY: u64 = 5;
    const DESTINATIONS: u64 = 6;
    let mut out = Vec::with_capacity(user.len() + 64);
    let mut rest = user;
    while !rest.is_empty() {
        let field = next_field(&mut rest)?;
        match field.number {
            SID | IDENTITY | DESTINATIONS => {}
            _ => out.extend_from_slice(field.raw),
        }
    }
    put_bytes(&mut out, SID, stamp.sid.as_bytes());
    put_bytes(&mut out, IDENTITY, stamp.identity.unwrap_or_default().as_bytes());
    for destination in stamp.destinations {
        put_bytes(&mut out, DESTINATIONS, destination.as_bytes());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::{DataPacket, UserPacket, data_packet::Value};
    use prost::Message as _;

    fn packet() -> DataPacket {
        DataPacket {
            participant_identity: "mallory".into(),
            participant_sid: "PA_forged".into(),
            sequence: 7,
            value: Some(Value::User(UserPacket {
                participant_sid: "PA_forged".into(),
                participant_identity: "mallory".into(),
                payload: vec![1, 2, 3],
                topic: Some("t".into()),
                ..UserPacket::default()
            })),
            ..DataPacket::default()
        }
    }

    #[test]
    fn forged_sender_is_replaced_and_unknown_fields_stay() {
        let mut bytes = packet().encode_to_vec();
        put_bytes(&mut bytes, 1000, b"from the future");
        let to = ["bob".to_owned()];
        let stamp_ = Stamp { kind: 1, sid: "PA_1", identity: Some("alice"), destinations: &to };
        let out = stamp(&bytes, &stamp_).expect("well-formed");
        assert!(out.windows(15).any(|w| w == b"from the future"));
        let p = DataPacket::decode(out.as_slice()).expect("decodes");
        assert_eq!(
            (p.kind, p.sequence, &*p.participant_sid, &*p.participant_identity),
            (1, 7, "PA_1", "alice")
        );
        assert_eq!(p.destination_identities, to);
        let Some(Value::User(u)) = p.value else { panic!("user packet") };
        assert_eq!(
            (&*u.participant_sid, &*u.participant_identity, u.payload),
            ("PA_1", "alice", vec![1, 2, 3])
        );
        assert_eq!(u.topic.as_deref(), Some("t"));
        assert_eq!(u.destination_identities, to);
    }

    #[test]
    fn truncated_packet_is_refused() {
        let bytes = packet().encode_to_vec();
        let stamp_ = Stamp { kind: 0, sid: "", identity: Some(""), destinations: &[] };
        assert!(stamp(bytes.get(..bytes.len() - 1).expect("long"), &stamp_).is_none());
    }

    proptest::proptest! {
        #[test]
        fn what_decodes_still_decodes_and_nothing_panics(bytes: Vec<u8>) {
            let stamp_ = Stamp { kind: 0, sid: "PA_1", identity: Some("a"), destinations: &[] };
            if let Some(out) = stamp(&bytes, &stamp_)
                && DataPacket::decode(bytes.as_slice()).is_ok()
            {
                let p = DataPacket::decode(out.as_slice()).expect("still decodes");
                proptest::prop_assert_eq!(p.participant_identity, "a");
            }
        }
    }
}
