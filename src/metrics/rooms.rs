//! Series per room, for so many rooms and no more.
//!
//! A room that has a series keeps it until it closes; the others share the one named `other`, whose byte counters never
//! fall because rooms come and go.

use std::collections::HashMap;

use bedrud_media::{ByKind, RoomMetrics, Traffic};

use super::text::{Kind, Text};

/// Name of the series that rooms without one of their own share.
pub const OTHER: &str = "other";

/// Which rooms have a series.
#[derive(Debug, Default)]
pub struct Listing {
    max: usize,
    /// Rooms with a series, by sid: traffic already counted under [`OTHER`].
    listed: HashMap<String, Traffic>,
    /// Rooms without: traffic at the last look.
    seen: HashMap<String, Traffic>,
    other: Traffic,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Room, or [`OTHER`].
    pub room: String,
    /// Participants.
    pub participants: usize,
    /// Published tracks.
    pub published: ByKind,
    /// Payload carried.
    pub traffic: Traffic,
}

impl Listing {
    /// At most `max` rooms have series of their own.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// The series of these rooms, which come oldest first. [`OTHER`] is the last.
    pub fn update(&mut self, rooms: &[RoomMetrics]) -> Vec<Series> {
        let open: HashMap<&str, ()> = rooms.iter().map(|room| (room.sid.as_str(), ())).collect();
        self.listed.retain(|sid, _| open.contains_key(sid.as_str()));
        self.seen.retain(|sid, _| open.contains_key(sid.as_str()));
        let mut out = Vec::new();
        let mut other = Series {
            room: OTHER.to_owned(),
            participants: 0,
            published: ByKind::default(),
            traffic: Traffic::default(),
        };
        for room in rooms {
            // Two series of one name would make the whole answer unreadable.
            let free = self.listed.len() < self.max && room.name != OTHER;
            if free && !self.listed.contains_key(&room.sid) {
                let counted = self.seen.remove(&room.sid).unwrap_or_default();
                self.listed.insert(room.sid.clone(), counted);
            }
            if let Some(counted) = self.listed.get(&room.sid) {
                out.push(Series {
                    room: room.name.clone(),
                    participants: room.participants,
                    published: room.published,
                    traffic: less(room.traffic, *counted),
                });
                continue;
            }
            let last = self.seen.insert(room.sid.clone(), room.traffic).unwrap_or_default();
            let new = less(room.traffic, last);
            self.other.bytes_in += new.bytes_in;
            self.other.bytes_out += new.bytes_out;
            other.participants += room.participants;
            other.published.audio += room.published.audio;
            other.published.video += room.published.video;
        }
        other.traffic = self.other;
        out.push(other);
        out
    }
}

/// Writes the families.
pub(super) fn write(text: &mut Text, series: &[Series]) {
    text.family("bedrud_room_participants", Kind::Gauge, "Participants of a room.");
    for s in series {
        text.sample("bedrud_room_participants", &[("room", &s.room)], s.participants);
    }
    text.family("bedrud_room_tracks", Kind::Gauge, "Published tracks of a room.");
    for s in series {
        for (kind, count) in [("AUDIO", s.published.audio), ("VIDEO", s.published.video)] {
            text.sample("bedrud_room_tracks", &[("room", &s.room), ("kind", kind)], count);
        }
    }
    text.family("bedrud_room_bytes_total", Kind::Counter, "Media payload of a room.");
    for s in series {
        for (direction, bytes) in [("incoming", s.traffic.bytes_in), ("outgoing", s.traffic.bytes_out)] {
            text.sample("bedrud_room_bytes_total", &[("room", &s.room), ("direction", direction)], bytes);
        }
    }
}

fn less(a: Traffic, b: Traffic) -> Traffic {
    Traffic {
        bytes_in: a.bytes_in.saturating_sub(b.bytes_in),
        bytes_out: a.bytes_out.saturating_sub(b.bytes_out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str, bytes: u64) -> RoomMetrics {
        RoomMetrics {
            name: name.into(),
            sid: format!("RM_{name}"),
            participants: 2,
            published: ByKind { audio: 1, video: 0 },
            subscribed: ByKind::default(),
            traffic: Traffic { bytes_in: bytes, bytes_out: 2 * bytes },
        }
    }

    fn seen(series: &[Series]) -> Vec<(&str, usize, u64)> {
        series.iter().map(|s| (s.room.as_str(), s.participants, s.traffic.bytes_in)).collect()
    }

    #[test]
    fn rooms_beyond_the_cap_share_a_series_that_never_falls() {
        let mut listing = Listing::new(2);
        let first = [room("a", 10), room("b", 20), room("c", 30), room("d", 40)];
        assert_eq!(seen(&listing.update(&first)), [("a", 2, 10), ("b", 2, 20), ("other", 4, 70)]);
        // "a" closed: "c" takes its place and goes on from there, what it had carried stays with the others.
        let second = [room("b", 25), room("c", 35), room("d", 45)];
        assert_eq!(seen(&listing.update(&second)), [("b", 2, 25), ("c", 2, 5), ("other", 2, 75)]);
        assert_eq!(seen(&listing.update(&[room("c", 36)])), [("c", 2, 6), ("other", 0, 75)]);
        assert_eq!(seen(&listing.update(&[])), [("other", 0, 75)]);
        assert!(listing.listed.is_empty() && listing.seen.is_empty());
    }

    #[test]
    fn no_room_can_take_the_name_of_the_shared_series() {
        let mut listing = Listing::new(5);
        assert_eq!(seen(&listing.update(&[room("other", 3), room("a", 1)])), [("a", 2, 1), ("other", 2, 3)]);
        assert_eq!(seen(&Listing::new(0).update(&[room("a", 1)])), [("other", 2, 1)]);
    }
}
