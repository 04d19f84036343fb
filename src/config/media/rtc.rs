//! `rtc`: how media gets here.

use super::{Addresses, FirstPort, Pick, TurnServers};
use crate::config::setting::section;
use crate::config::value::Unread;
use crate::config::webhook::Span;

section! {
    /// Transports.
    pub struct Rtc {
        /// ICE over TCP: another port than the main one, which clients are told instead of it.
        tcp_port: Option<u16> = None, "tcp_port", env [];
        /// Media port. Of a range, the first. Default: port_range_start, else the number of the main port.
        udp_port: FirstPort = FirstPort::default(), "udp_port", env ["UDP_PORT"];
        /// Media port when udp_port is not given: one port carries all media.
        port_range_start: Option<u16> = None, "port_range_start", env [];
        /// Read over: one port carries all media.
        port_range_end: Unread = Unread, "port_range_end", env [], inert;
        /// Address told to clients, comma list for both families.
        node_ip: Addresses = Addresses::default(), "node_ip", env ["NODE_IP"];
        /// Ask STUN servers at the start how the world sees this host, and tell clients that.
        use_external_ip: bool = false, "use_external_ip", env [];
        /// Tell them no address that no STUN server saw.
        external_ip_only: bool = false, "external_ip_only", env [];
        /// Tell them the addresses behind the NAT as well.
        advertise_internal_ip: bool = false, "advertise_internal_ip", env [];
        /// STUN servers, host:port: asked for external addresses, and told to clients.
        stun_servers: Vec<String> = Vec::new(), "stun_servers", env [];
        /// TURN servers told to clients.
        turn_servers: TurnServers = TurnServers::default(), "turn_servers", env [];
        /// Always on here.
        use_ice_lite: Unread = Unread, "use_ice_lite", env [], inert;
        /// Interfaces whose addresses clients are told.
        interfaces: Pick = Pick::default(), "interfaces", env [];
        /// Networks whose addresses clients are told.
        ips: Pick = Pick::default(), "ips", env [];
        /// Read over.
        use_stun_port_as_ice: Unread = Unread, "use_stun_port_as_ice", env [], inert;
        /// Tell clients the loopback address as well.
        enable_loopback_candidate: bool = false, "enable_loopback_candidate", env [];
        /// Read over.
        use_mdns: Unread = Unread, "use_mdns", env [], inert;
        /// Read over: clients choose by themselves.
        force_tcp: Unread = Unread, "force_tcp", env [], inert;
        /// Read over: always on.
        batch_io: Unread = Unread, "batch_io", env [], inert;
        /// Read over.
        packet_buffer_size: Unread = Unread, "packet_buffer_size", env [], inert;
        /// Packets kept of each video stream for repeating lost ones, rounded up to a power of two. 0: 512.
        packet_buffer_size_video: u32 = 0, "packet_buffer_size_video", env [];
        /// The same of each audio stream. 0: 128.
        packet_buffer_size_audio: u32 = 0, "packet_buffer_size_audio", env [];
        /// Least distance of key frame requests.
        pli_throttle: PliThrottle = PliThrottle::default(), "pli_throttle", env [];
        /// Congestion control.
        congestion_control: CongestionControl = CongestionControl::default(), "congestion_control", env [];
        /// Read over: always on.
        allow_tcp_fallback: Unread = Unread, "allow_tcp_fallback", env [], inert;
        /// Read over.
        tcp_fallback_rtt_threshold: Unread = Unread, "tcp_fallback_rtt_threshold", env [], inert;
        /// Read over.
        allow_udp_unstable_fallback: Unread = Unread, "allow_udp_unstable_fallback", env [], inert;
        /// Read over.
        reconnect_on_publication_error: Unread = Unread, "reconnect_on_publication_error", env [], inert;
        /// Read over.
        reconnect_on_subscription_error: Unread = Unread, "reconnect_on_subscription_error", env [], inert;
        /// Read over.
        reconnect_on_data_channel_error: Unread = Unread, "reconnect_on_data_channel_error", env [], inert;
        /// Read over.
        datachannel_slow_threshold: Unread = Unread, "datachannel_slow_threshold", env [], inert;
        /// Read over.
        datachannel_lossy_target_latency: Unread = Unread, "datachannel_lossy_target_latency", env [], inert;
        /// Read over.
        datachannel_data_track_target_latency: Unread = Unread, "datachannel_data_track_target_latency", env [], inert;
        /// Read over.
        data_channel_max_buffered_amount: Unread = Unread, "data_channel_max_buffered_amount", env [], inert;
        /// Read over.
        sctp_min_cwnd: Unread = Unread, "sctp_min_cwnd", env [], inert;
        /// Read over.
        sctp_fast_rtx_wnd: Unread = Unread, "sctp_fast_rtx_wnd", env [], inert;
        /// Read over.
        sctp_cwnd_ca_step: Unread = Unread, "sctp_cwnd_ca_step", env [], inert;
        /// Read over.
        forward_stats: Unread = Unread, "forward_stats", env [], inert;
        /// Read over.
        enable_rtp_stream_restart_detection: Unread = Unread, "enable_rtp_stream_restart_detection", env [], inert;
        /// Read over.
        enable_warp: Unread = Unread, "enable_warp", env [], inert;
        /// Read over: always on.
        strict_acks: Unread = Unread, "strict_acks", env [], inert;
    }
}

section! {
    /// Least distance of key frame requests to a publisher. The shortest counts for all its layers. Default: 500ms.
    pub struct PliThrottle {
        /// Of the lowest layer.
        low_quality: Span = Span::default(), "low_quality", env [];
        /// Of the middle layer.
        mid_quality: Span = Span::default(), "mid_quality", env [];
        /// Of the highest layer.
        high_quality: Span = Span::default(), "high_quality", env [];
    }
}

impl PliThrottle {
    /// The shortest that is set.
    #[must_use]
    pub fn shortest(&self) -> Option<std::time::Duration> {
        [self.low_quality, self.mid_quality, self.high_quality].into_iter().filter_map(|s| s.0).min()
    }
}

section! {
    /// Congestion control.
    pub struct CongestionControl {
        /// Always on here.
        enabled: Unread = Unread, "enabled", env [], inert;
        /// Congestion may stop the video of a subscriber altogether, unless its client says otherwise.
        allow_pause: bool = false, "allow_pause", env [];
        /// Read over.
        stream_allocator: Unread = Unread, "stream_allocator", env [], inert;
        /// Read over.
        remote_bwe: Unread = Unread, "remote_bwe", env [], inert;
        /// Read over.
        use_send_side_bwe_interceptor: Unread = Unread, "use_send_side_bwe_interceptor", env [], inert;
        /// Read over.
        use_send_side_bwe: Unread = Unread, "use_send_side_bwe", env [], inert;
        /// Read over.
        send_side_bwe_pacer: Unread = Unread, "send_side_bwe_pacer", env [], inert;
        /// Read over.
        send_side_bwe: Unread = Unread, "send_side_bwe", env [], inert;
        /// Read over.
        nack_ratio_attenuator: Unread = Unread, "nack_ratio_attenuator", env [], inert;
        /// Read over.
        expected_usage_threshold: Unread = Unread, "expected_usage_threshold", env [], inert;
        /// Read over.
        probe_mode: Unread = Unread, "probe_mode", env [], inert;
        /// Read over.
        probe_config: Unread = Unread, "probe_config", env [], inert;
        /// Read over.
        min_channel_capacity: Unread = Unread, "min_channel_capacity", env [], inert;
        /// Read over.
        disable_estimation_unmanaged_tracks: Unread = Unread, "disable_estimation_unmanaged_tracks", env [], inert;
    }
}
