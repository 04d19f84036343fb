//! The media server.

use bedrud_media::{ByKind, DataFigures, DropReason, NetCounters, SfuMetrics, ShardStats};

use super::text::{Kind, Text};

/// Writes the families.
pub(super) fn write(text: &mut Text, metrics: &SfuMetrics) {
    hub(text, metrics);
    packets(text, metrics);
    sockets(text, metrics);
    data(text, metrics);
}

fn hub(text: &mut Text, metrics: &SfuMetrics) {
    let (hub, stats) = (&metrics.hub, &metrics.stats.hub);
    text.single("livekit_room_total", Kind::Gauge, "Open rooms.", stats.rooms);
    text.single("livekit_participant_total", Kind::Gauge, "Participants.", stats.participants);
    let counters = &hub.counters;
    let name = "livekit_participant_join_total";
    text.family(name, Kind::Counter, "Participants on their way in.");
    let signal = counters.joins.saturating_sub(counters.joins_refused);
    text.sample(name, &[("state", "signal_connected")], signal);
    text.sample(name, &[("state", "signal_failed")], counters.joins_refused);
    text.sample(name, &[("state", "rtc_connected")], counters.participants_joined);
    let name = "bedrud_participant_left_total";
    text.family(
        name,
        Kind::Counter,
        "Participants that left, before or after their media connection was up.",
    );
    text.sample(name, &[("state", "connected")], counters.participants_left);
    text.sample(name, &[("state", "aborted")], counters.participants_aborted);
    let sum = |pick: fn(&bedrud_media::RoomMetrics) -> ByKind| {
        hub.rooms
            .iter()
            .map(pick)
            .fold(ByKind::default(), |a, b| ByKind { audio: a.audio + b.audio, video: a.video + b.video })
    };
    let by_kind = |text: &mut Text, name: &str, help: &str, kinds: ByKind| {
        text.family(name, Kind::Gauge, help);
        text.sample(name, &[("kind", "AUDIO")], kinds.audio);
        text.sample(name, &[("kind", "VIDEO")], kinds.video);
    };
    by_kind(text, "livekit_track_published_total", "Published tracks.", sum(|r| r.published));
    by_kind(text, "livekit_track_subscribed_total", "Subscribed tracks.", sum(|r| r.subscribed));
    let name = "livekit_track_publish_counter";
    text.family(name, Kind::Counter, "Tracks that were published.");
    text.sample(name, &[("kind", "AUDIO"), ("state", "success")], counters.audio_published);
    text.sample(name, &[("kind", "VIDEO"), ("state", "success")], counters.video_published);
    let name = "bedrud_rooms_total";
    text.family(name, Kind::Counter, "Rooms that opened and closed.");
    text.sample(name, &[("event", "started")], counters.rooms_started);
    text.sample(name, &[("event", "finished")], counters.rooms_finished);
    text.sample(name, &[("event", "failed")], counters.rooms_failed);
    let name = "livekit_node_messages";
    text.family(name, Kind::Counter, "Signalling messages.");
    let message = |direction| [("type", "signal"), ("status", "success"), ("direction", direction)];
    text.sample(name, &message("request"), counters.signals_in);
    text.sample(name, &message("response"), counters.signals_out);
    text.single("bedrud_signal_connections", Kind::Gauge, "Signalling sockets.", stats.connections);
    text.single("bedrud_peer_connections", Kind::Gauge, "Peer connections.", metrics.stats.transports());
}

fn packets(text: &mut Text, metrics: &SfuMetrics) {
    let sum = |pick: fn(&ShardStats) -> u64| metrics.stats.shards.iter().map(|s| pick(&s.shard)).sum::<u64>();
    let by_transmission =
        |text: &mut Text, name: &str, help: &str, [received, received_again, sent, sent_again]: [u64; 4]| {
            text.family(name, Kind::Counter, help);
            for (direction, all, again) in
                [("incoming", received, received_again), ("outgoing", sent, sent_again)]
            {
                let labels = |transmission| [("direction", direction), ("transmission", transmission)];
                text.sample(name, &labels("initial"), all.saturating_sub(again));
                text.sample(name, &labels("retransmit"), again);
            }
        };
    let packets = [sum(|s| s.rtp_in), sum(|s| s.rtx_in), sum(|s| s.rtp_out), sum(|s| s.rtx_out)];
    by_transmission(text, "livekit_packet_total", "RTP packets.", packets);
    let bytes = [
        sum(|s| s.rtp_bytes_in),
        sum(|s| s.rtx_bytes_in),
        sum(|s| s.rtp_bytes_out),
        sum(|s| s.rtx_bytes_out),
    ];
    by_transmission(text, "livekit_packet_bytes", "RTP payload bytes.", bytes);
    let by_direction = |text: &mut Text, name: &str, help: &str, incoming: u64, outgoing: u64| {
        text.family(name, Kind::Counter, help);
        text.sample(name, &[("direction", "incoming")], incoming);
        text.sample(name, &[("direction", "outgoing")], outgoing);
    };
    let (nacks_in, nacks_out) = (sum(|s| s.nacks_in), sum(|s| s.nacks_out));
    by_direction(text, "livekit_nack_total", "Packets asked back.", nacks_in, nacks_out);
    let (plis_in, plis_out) = (sum(|s| s.plis_in), sum(|s| s.plis_out));
    by_direction(text, "livekit_pli_total", "Key frames asked for.", plis_in, plis_out);
    let name = "bedrud_drops_total";
    text.family(name, Kind::Counter, "Datagrams, packets and commands that were not used, by reason.");
    for reason in DropReason::ALL {
        let count: u64 = metrics.stats.shards.iter().map(|s| s.shard.drops.get(reason)).sum();
        text.sample(name, &[("reason", reason.name())], count);
    }
}

fn data(text: &mut Text, metrics: &SfuMetrics) {
    let sum =
        |pick: fn(&DataFigures) -> u64| metrics.stats.shards.iter().map(|s| pick(&s.shard.data)).sum::<u64>();
    let hub = &metrics.hub.data;
    let name = "bedrud_data_messages_total";
    text.family(name, Kind::Counter, "Data messages taken from clients, and copies of them for clients.");
    text.sample(name, &[("direction", "incoming")], sum(|d| d.received));
    text.sample(name, &[("direction", "outgoing")], sum(|d| d.sent));
    let name = "bedrud_data_messages_dropped_total";
    text.family(name, Kind::Counter, "Data messages dropped, by reason.");
    text.sample(name, &[("reason", "sender_rate")], sum(|d| d.over_rate));
    text.sample(name, &[("reason", "sender_budget")], hub.over_budget);
    text.sample(name, &[("reason", "too_many_destinations")], hub.too_many_destinations);
    text.sample(name, &[("reason", "receiver_lossy")], sum(|d| d.lossy_dropped));
    text.sample(name, &[("reason", "receiver_reliable")], sum(|d| d.reliable_dropped));
    let help = "Times a sender was held back because a receiver was behind.";
    text.single("bedrud_data_holds_total", Kind::Counter, help, hub.holds);
    let slow: u64 = metrics.stats.shards.iter().map(|s| s.shard.slow_consumers).sum();
    let help = "Clients disconnected because they did not take reliable data.";
    text.single("bedrud_data_slow_consumers_total", Kind::Counter, help, slow);
}

fn sockets(text: &mut Text, metrics: &SfuMetrics) {
    let sum = |pick: fn(&NetCounters) -> u64| metrics.stats.shards.iter().map(|s| pick(&s.net)).sum::<u64>();
    let name = "bedrud_datagrams_total";
    text.family(name, Kind::Counter, "UDP datagrams.");
    text.sample(name, &[("direction", "incoming")], sum(|n| n.datagrams_in));
    text.sample(name, &[("direction", "outgoing")], sum(|n| n.datagrams_out));
    let name = "bedrud_datagrams_dropped_total";
    text.family(name, Kind::Counter, "UDP datagrams that could not be sent.");
    text.sample(name, &[("reason", "socket_full")], sum(|n| n.send_dropped));
    text.sample(name, &[("reason", "refused")], sum(|n| n.send_errors));
    let tcp = metrics.stats.tcp_connections();
    text.single("bedrud_ice_tcp_connections", Kind::Gauge, "ICE/TCP connections.", tcp);
    let dropped = sum(|n| n.tcp_frames_dropped);
    text.single("bedrud_ice_tcp_dropped_total", Kind::Counter, "ICE/TCP frames dropped.", dropped);
    let shards = metrics.stats.shards.iter().map(|s| s.shard.panics).sum::<u64>();
    let panics = sum(|n| n.panics) + shards;
    text.single("bedrud_media_panics_total", Kind::Counter, "Failures caught in the media plane.", panics);
    let failures = metrics.stats.failures + metrics.hub.counters.failures;
    let name = "bedrud_control_panics_total";
    text.single(name, Kind::Counter, "Failures caught in the control plane.", failures);
}
