//! How long things take in the rooms.

use bedrud_media::HubTimings;

use super::text::{Kind, Text};

/// Writes the families.
pub(super) fn write(text: &mut Text, timings: &HubTimings) {
    let name = "livekit_room_duration_seconds";
    text.family(name, Kind::Histogram, "Life of a room.");
    text.histogram(name, &[], &timings.room);
    let name = "livekit_session_start_time_ms";
    text.family(name, Kind::Histogram, "From a join to the media connection.");
    text.histogram(name, &[], &timings.session_start);
    let name = "livekit_session_duration_ms";
    text.family(name, Kind::Histogram, "From the media connection to the departure.");
    text.histogram(name, &[], &timings.session);
    let name = "livekit_pubsubtime_ms";
    text.family(name, Kind::Histogram, "From the announcement of a track to its publication.");
    for (source, kind, values) in &timings.publish {
        let labels =
            [("direction", "publish"), ("source", source.as_str_name()), ("type", kind.as_str_name())];
        text.histogram(name, &labels, values);
    }
    let name = "bedrud_first_media_ms";
    text.family(name, Kind::Histogram, "From a subscription's place in a connection to its first packet.");
    for (kind, values) in [("AUDIO", &timings.first_audio), ("VIDEO", &timings.first_video)] {
        text.histogram(name, &[("kind", kind)], values);
    }
}
