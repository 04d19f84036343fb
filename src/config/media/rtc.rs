//! `rtc`: how media gets here.

use super::{FirstPort, TurnServers};
use crate::config::setting::section;
use crate::config::value::Unread;

section! {
    /// Transports.
    pub struct Rtc {
        /// ICE over TCP. It also works on the main port; another number adds a listener.
        tcp_port: Option<u16> = None, "tcp_port", env [];
        /// Media port. Of a range, the first. Default: the number of the main port.
        udp_port: FirstPort = FirstPort::default(), "udp_port", env ["UDP_PORT"];
        /// Read over: one port carries all media.
        port_range_start: Unread = Unread, "port_range_start", env [], inert;
        /// Read over: one port carries all media.
        port_range_end: Unread = Unread, "port_range_end", env [], inert;
        /// Address told to clients, comma list for both families.
        node_ip: Vec<String> = Vec::new(), "node_ip", env ["NODE_IP"];
        /// Read over: set node_ip.
        use_external_ip: Unread = Unread, "use_external_ip", env [], inert;
        /// Read over: set node_ip.
        external_ip_only: Unread = Unread, "external_ip_only", env [], inert;
        /// Read over: set node_ip.
        advertise_internal_ip: Unread = Unread, "advertise_internal_ip", env [], inert;
        /// STUN servers told to clients, host:port.
        stun_servers: Vec<String> = Vec::new(), "stun_servers", env [];
        /// TURN servers told to clients.
        turn_servers: TurnServers = TurnServers::default(), "turn_servers", env [];
        /// Always on here.
        use_ice_lite: Unread = Unread, "use_ice_lite", env [], inert;
        /// Read over.
        interfaces: Unread = Unread, "interfaces", env [], inert;
        /// Read over.
        ips: Unread = Unread, "ips", env [], inert;
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
        /// Read over.
        packet_buffer_size_video: Unread = Unread, "packet_buffer_size_video", env [], inert;
        /// Read over.
        packet_buffer_size_audio: Unread = Unread, "packet_buffer_size_audio", env [], inert;
        /// Read over.
        pli_throttle: Unread = Unread, "pli_throttle", env [], inert;
        /// Read over.
        congestion_control: Unread = Unread, "congestion_control", env [], inert;
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
