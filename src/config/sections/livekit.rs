//! `livekit`: the built-in media server and its API keys.

use crate::config::setting::section;
use crate::config::value::Secret;
use std::path::PathBuf;

section! {
    /// The built-in media server.
    pub struct LiveKit {
        /// Signalling address told to clients, e.g. https://meet.example.org/livekit
        /// Default: the address of the request, with the path /livekit.
        host: String = String::new(), "host", env ["LIVEKIT_HOST"];
        /// Read by nothing.
        host_local: String = String::new(), "hostLocal", env ["LIVEKIT_HOST_LOCAL"], inert;
        /// Address of the media server's API. Bedrud carries media itself and calls no other server.
        internal_host: String = String::new(), "internalHost", env ["LIVEKIT_INTERNAL_HOST"], inert;
        /// Key and secret that sign media tokens; others may use them with any LiveKit server SDK.
        /// Default: made at first start and kept in the data folder.
        api_key: String = String::new(), "apiKey", env ["LIVEKIT_API_KEY"];
        /// At least 32 characters.
        api_secret: Secret = Secret::default(), "apiSecret", env ["LIVEKIT_API_SECRET"];
        /// A LiveKit configuration file whose keys apply to the built-in media server.
        config_path: PathBuf = PathBuf::new(), "configPath", env ["LIVEKIT_CONFIG_PATH"];
        /// Read by nothing: there is no second server to verify.
        skip_tls_verify: bool = false, "skipTLSVerify", env ["LIVEKIT_SKIP_TLS_VERIFY"], inert;
        /// Use a media server elsewhere. Not supported: refused when true.
        external: bool = false, "external", env ["LIVEKIT_EXTERNAL"];
        /// Address told to media clients, comma list for IPv4 and IPv6. Default: the addresses of this host.
        node_ip: Vec<String> = Vec::new(), "nodeIP", env ["LIVEKIT_NODE_IP"];
        /// Who is told what happens in rooms, in LiveKit's format, signed with apiKey.
        webhook: Webhook = Webhook::default(), "webhook", env [];
    }
}

section! {
    /// Webhooks in LiveKit's format.
    pub struct Webhook {
        /// Addresses that events are posted to.
        urls: Vec<String> = Vec::new(), "urls", env ["LIVEKIT_WEBHOOK_URLS"];
        /// Send only these events, e.g. [room_started, room_finished]. Empty: all.
        include_events: Vec<String> = Vec::new(), "includeEvents", env ["LIVEKIT_WEBHOOK_INCLUDE_EVENTS"];
        /// Send all events but these. Unused when includeEvents is set.
        exclude_events: Vec<String> = Vec::new(), "excludeEvents", env ["LIVEKIT_WEBHOOK_EXCLUDE_EVENTS"];
    }
}
