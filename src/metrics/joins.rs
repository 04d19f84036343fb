//! How long joins take, from the request to the answer that opens the socket.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bedrud_media::Histogram;

use super::text::{Kind, Text};

/// Upper bounds, milliseconds.
const LATENCY: &[u64] = &[5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
/// Protocol versions above this one are counted with it: clients say what they like.
const NEWEST: i32 = 32;

/// Latencies by the client's protocol version.
#[derive(Debug, Default)]
pub struct Joins(Mutex<BTreeMap<i32, Histogram>>);

impl Joins {
    /// Counts an accepted join.
    pub fn count(&self, protocol: i32, millis: u64) {
        let mut by_protocol = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = by_protocol.entry(protocol.clamp(0, NEWEST));
        histogram.or_insert_with(|| Histogram::new(LATENCY)).observe(millis);
    }

    /// Writes the family.
    pub(super) fn write(&self, text: &mut Text) {
        let name = "livekit_session_join_latency_ms";
        text.family(name, Kind::Histogram, "Time to accept a join, by the client's protocol version.");
        for (protocol, histogram) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text.histogram(name, &[("protocol_version", &protocol.to_string())], &histogram.snapshot());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_clients_make_up_are_bounded() {
        let joins = Joins::default();
        for protocol in [i32::MIN, -1, 0, 16, 33, 1000, i32::MAX] {
            joins.count(protocol, 3);
        }
        let mut text = Text::default();
        joins.write(&mut text);
        let text = text.finish();
        assert_eq!(text.matches("_count{").count(), 3, "{text}");
        assert!(text.contains("_count{protocol_version=\"0\"} 3\n"), "{text}");
        assert!(text.contains("_count{protocol_version=\"32\"} 3\n"), "{text}");
    }
}
