//! Calls of the server API, by method and outcome.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bedrud_media::Histogram;

use super::text::{Kind, Text};

/// Upper bounds of the latency, milliseconds.
const LATENCY: &[u64] = &[5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];
/// What a caller made up: anything else would let callers fill the memory with names.
const UNKNOWN: &str = "other";

/// Methods that have a name here.
const METHODS: &[(&str, &[&str])] = &[
    (
        "RoomService",
        &[
            "CreateRoom",
            "ListRooms",
            "DeleteRoom",
            "ListParticipants",
            "GetParticipant",
            "RemoveParticipant",
            "MutePublishedTrack",
            "UpdateParticipant",
            "UpdateSubscriptions",
            "SendData",
            "UpdateRoomMetadata",
            "ForwardParticipant",
            "MoveParticipant",
            "PerformRpc",
        ],
    ),
    ("AgentDispatchService", &["CreateDispatch", "DeleteDispatch", "ListDispatch"]),
    ("Egress", &[]),
    ("Ingress", &[]),
    ("SIP", &[]),
];

type Method = (&'static str, &'static str);

/// Counts of all calls.
#[derive(Debug, Default)]
pub struct Calls {
    outcomes: Mutex<BTreeMap<(Method, u16, &'static str), u64>>,
    latency: Mutex<BTreeMap<(Method, bool), Histogram>>,
}

/// Service and method of a path below `/twirp/`.
fn method(path: &str) -> Method {
    let (service, name) = path.rsplit_once('/').unwrap_or((path, ""));
    let service = service.strip_prefix("livekit.").unwrap_or(service);
    let Some((service, methods)) = METHODS.iter().find(|(known, _)| *known == service) else {
        return (UNKNOWN, UNKNOWN);
    };
    (service, methods.iter().find(|known| **known == name).unwrap_or(&UNKNOWN))
}

impl Calls {
    /// Counts a call: path below `/twirp/`, HTTP status, Twirp's error code (empty when there is none).
    pub fn count(&self, path: &str, status: u16, code: &'static str, millis: u64) {
        let method = method(path);
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        *outcomes.entry((method, status, code)).or_default() += 1;
        drop(outcomes);
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        latency.entry((method, status < 400)).or_insert_with(|| Histogram::new(LATENCY)).observe(millis);
    }

    /// Writes the families.
    pub fn write(&self, text: &mut Text) {
        let name = "livekit_node_twirp_request_status";
        text.family(name, Kind::Counter, "Calls of the server API by outcome.");
        for (((service, method), status, code), count) in
            self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            let status = status.to_string();
            let labels = [("service", *service), ("method", *method), ("status", &status), ("code", *code)];
            text.sample(name, &labels, count);
        }
        let name = "livekit_node_twirp_request_latency_ms";
        text.family(name, Kind::Histogram, "Time to answer calls of the server API.");
        for (((service, method), ok), histogram) in
            self.latency.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            let status = if *ok { "success" } else { "failure" };
            let labels = [("service", *service), ("method", *method), ("status", status)];
            text.histogram(name, &labels, &histogram.snapshot());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_callers_make_up_are_not_kept() {
        assert_eq!(method("livekit.RoomService/ListRooms"), ("RoomService", "ListRooms"));
        assert_eq!(method("livekit.RoomService/Dance"), ("RoomService", UNKNOWN));
        assert_eq!(method("livekit.Egress/ListEgress"), ("Egress", UNKNOWN));
        for path in ["livekit.Nothing/ListRooms", "", "/", "a/b/c"] {
            assert_eq!(method(path), (UNKNOWN, UNKNOWN), "{path}");
        }
    }
}
