//! How many parts a message has, counted before it is decoded: two bytes can stand for a structure of several hundred,
//! so the size of a message alone does not bound the memory it takes.

use prost::encoding::{WireType, decode_key, decode_varint};

/// Parts of one message. A room of some thousand participants is updated with far fewer.
pub(super) const MAX_PARTS: usize = 65_536;
/// Messages within messages that are looked into. The protocol has fewer.
const MAX_DEPTH: u32 = 12;

/// Length-delimited fields of a protobuf message, on all levels; stops counting above [`MAX_PARTS`]. Text that happens
/// to look like a message counts a little, too.
pub(super) fn of_protobuf(message: &[u8]) -> usize {
    let mut parts = 0;
    count(message, 0, &mut parts);
    parts
}

/// Objects of a JSON text, and braces within strings.
pub(super) fn of_json(text: &[u8]) -> usize {
    text.iter().filter(|b| **b == b'{').count()
}

/// Goes as far as a decoder would, which allocates up to the first error.
fn count(mut rest: &[u8], depth: u32, parts: &mut usize) -> Option<()> {
    while !rest.is_empty() && *parts <= MAX_PARTS {
        let (_, kind) = decode_key(&mut rest).ok()?;
        match kind {
            WireType::Varint => drop(decode_varint(&mut rest).ok()?),
            WireType::ThirtyTwoBit => rest = rest.get(4..)?,
            WireType::SixtyFourBit => rest = rest.get(8..)?,
            // What is in a group counts as what is around it.
            WireType::StartGroup | WireType::EndGroup => {}
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let field = rest.get(..length)?;
                rest = rest.get(length..)?;
                *parts = parts.saturating_add(1);
                if depth < MAX_DEPTH {
                    count(field, depth.saturating_add(1), parts);
                }
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::{
        SignalRequest, SyncState, TrackPublishedResponse, UpdateSubscription, signal_request,
    };
    use prost::Message as _;

    fn request(message: signal_request::Message) -> Vec<u8> {
        SignalRequest { message: Some(message) }.encode_to_vec()
    }

    fn sync(publish_tracks: Vec<TrackPublishedResponse>) -> Vec<u8> {
        let sync = SyncState { publish_tracks, ..SyncState::default() };
        request(signal_request::Message::SyncState(sync))
    }

    #[test]
    fn parts_are_counted_on_all_levels() {
        let published = TrackPublishedResponse { cid: "c".into(), track: Some(Default::default()) };
        assert_eq!(of_protobuf(&sync(vec![published; 10])), 1 + 10 * 3);
        assert_eq!(of_protobuf(&sync(vec![TrackPublishedResponse::default(); 10])), 1 + 10);
        assert_eq!(of_json(br#"{"syncState":{"publishTracks":[{},{"cid":"{"}]}}"#), 5);
    }

    #[test]
    fn ordinary_messages_have_few() {
        let track_sids: Vec<String> = (0..10_000).map(|i| format!("TR_{i:012}")).collect();
        let update = UpdateSubscription { track_sids, subscribe: true, ..Default::default() };
        assert!(of_protobuf(&request(signal_request::Message::Subscription(update))) < 20_000);
        for sdp in ["v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\n", "b=jrz*2:BJRZ\"\"\n"] {
            let description =
                livekit_protocol::SessionDescription { sdp: sdp.repeat(20_000), ..Default::default() };
            assert!(of_protobuf(&request(signal_request::Message::Offer(description))) < 10_000, "{sdp}");
        }
    }

    #[test]
    fn what_is_hidden_behind_other_fields_counts_too() {
        // A varint, both fixed widths and a group before a thousand empty messages, and garbage after them.
        let mut body =
            vec![0x08, 0x01, 0x0d, 1, 2, 3, 4, 0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x0b, 0x08, 0x01, 0x0c];
        body.extend([0x1a, 0x00].repeat(1000));
        body.push(0xff);
        assert_eq!(of_protobuf(&body), 1000);
        let deep = (0..40).fold(vec![0x0a, 0x00], |inner, _| {
            let mut outer = vec![0x0a];
            prost::encoding::encode_varint(inner.len() as u64, &mut outer);
            outer.extend(inner);
            outer
        });
        assert_eq!(of_protobuf(&deep), MAX_DEPTH as usize + 1);
        assert!(of_protobuf(&[0x0a, 0x00].repeat(1_000_000)) <= MAX_PARTS + 1);
    }
}
