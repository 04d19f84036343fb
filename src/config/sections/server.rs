//! `server`: where and how Bedrud listens.

use crate::config::setting::section;
use crate::config::value::{Secret, choice};
use std::path::PathBuf;

choice! {
    /// Key algorithm of a self-signed certificate. Browsers refuse Ed25519.
    pub enum CertAlgorithm {
        /// ECDSA on P-256.
        Ecdsa256 = "ecdsa256",
        /// Ed25519.
        Ed25519 = "ed25519",
        /// RSA, 2048 bits.
        Rsa2048 = "rsa2048",
        /// RSA, 4096 bits.
        Rsa4096 = "rsa4096",
    }
    default Ecdsa256
}

section! {
    /// Listening address, TLS, reverse proxies, limits.
    pub struct Server {
        /// Main port: HTTP, WebSocket and ICE over TCP; media over UDP uses the same number.
        /// Default: 8090, or 443 with TLS.
        port: Option<u16> = None, "port", env ["SERVER_PORT"];
        /// Plain HTTP port beside TLS: it redirects to HTTPS. Default: 80. Unused without TLS.
        http_port: Option<u16> = None, "httpPort", env ["SERVER_HTTP_PORT"];
        /// Address to bind. Empty, 0.0.0.0 or ::: all addresses. The address told to media clients is `livekit.nodeIP`.
        host: String = String::new(), "host", env ["SERVER_HOST"];
        /// Folder for the database, secrets and uploads. Default: ./data
        data_dir: PathBuf = PathBuf::from("data"), "dataDir", env ["BEDRUD_DATA"];
        /// Seconds from the opening of a connection, or the first byte of a further request, to the end of the request's head.
        /// 0: no limit.
        read_timeout: u64 = 10, "readTimeout", env ["SERVER_READ_TIMEOUT"];
        /// Seconds a connection may be idle between requests. Proxies learn it from the header Keep-Alive; it should be longer
        /// than they keep idle connections themselves. 0: no limit.
        idle_timeout: u64 = 150, "idleTimeout", env ["SERVER_IDLE_TIMEOUT"];
        /// Seconds until a request must have been read and answered; WebSockets are exempt. 0: no limit.
        write_timeout: u64 = 60, "writeTimeout", env ["SERVER_WRITE_TIMEOUT"];
        /// Serve HTTPS on the main port.
        enable_tls: bool = false, "enableTLS", env ["SERVER_ENABLE_TLS"];
        /// Serve plain HTTP even if enableTLS is true.
        disable_tls: bool = false, "disableTLS", env ["SERVER_DISABLE_TLS"];
        /// Certificate chain, PEM. With enableTLS and neither file set, a self-signed pair is kept in the data folder.
        cert_file: PathBuf = PathBuf::new(), "certFile", env ["SERVER_CERT_FILE"];
        /// Private key, PEM.
        key_file: PathBuf = PathBuf::new(), "keyFile", env ["SERVER_KEY_FILE"];
        /// Public host name: certificate name, cookie domain, links in mail.
        domain: String = String::new(), "domain", env ["SERVER_DOMAIN"];
        /// Contact address for the certificate authority.
        email: String = String::new(), "email", env ["SERVER_EMAIL"], inert;
        /// Obtain certificates by ACME. Not available yet: refused when true without certFile and keyFile.
        use_acme: bool = false, "useACME", env ["SERVER_USE_ACME"];
        /// ACME details.
        acme: Acme = Acme::default(), "acme", env [];
        /// Reverse proxies that may name the client address: addresses or networks (10.0.0.0/8).
        trusted_proxies: Vec<String> = Vec::new(), "trustedProxies", env ["SERVER_TRUSTED_PROXIES"];
        /// Header in which they name it.
        proxy_header: String = "X-Forwarded-For".to_owned(), "proxyHeader", env ["SERVER_PROXY_HEADER"];
        /// A reverse proxy ends TLS in front of Bedrud: cookies are Secure. Needs trustedProxies.
        behind_proxy: bool = false, "behindProxy", env ["SERVER_BEHIND_PROXY"];
        /// Key algorithm of self-signed certificates: ecdsa256, ed25519, rsa2048 or rsa4096.
        cert_algorithm: CertAlgorithm = CertAlgorithm::default(), "certAlgorithm", env ["SERVER_CERT_ALGORITHM"];
        /// Largest number of participants a room may allow. 0 means 1000.
        max_participants_limit: u32 = 1000, "maxParticipantsLimit", env ["SERVER_MAX_PARTICIPANTS_LIMIT"];
        /// Rooms one user may own. 0: unlimited.
        max_rooms_per_user: u32 = 100, "maxRoomsPerUser", env ["SERVER_MAX_ROOMS_PER_USER"];
        /// Days after which a room that nobody has visited closes by itself; until then its link works. Its owner can open it
        /// again. 0: never.
        room_idle_days: u32 = 30, "roomIdleDays", env ["SERVER_ROOM_IDLE_DAYS"];
        /// Limits of the listener.
        limits: Limits = Limits::default(), "limits", env [];
    }
}

section! {
    /// Limits of the listener.
    pub struct Limits {
        /// TCP connections open at once that are no sessions (WebSockets, ICE over TCP), and as many WebSockets. When all are
        /// taken, a new one gets the place of the oldest that waits for its client, of the client that has most of these.
        connections: u32 = 8192, "connections", env ["SERVER_LIMITS_CONNECTIONS"];
        /// Of these, no WebSockets, from one IPv4 address or IPv6 /64. 0: no limit.
        connections_per_address: u32 = 512, "connectionsPerAddress", env ["SERVER_LIMITS_CONNECTIONS_PER_ADDRESS"];
        /// Seconds a new connection may stay silent before its first bytes tell what it is.
        sniff_timeout: u64 = 5, "sniffTimeout", env ["SERVER_LIMITS_SNIFF_TIMEOUT"];
        /// Largest request head, bytes, at most 65,536. Tokens and join requests in the address of the media server do not count:
        /// they have room for all metadata and attributes that a participant may have.
        header_bytes: u32 = 65_536, "headerBytes", env ["SERVER_LIMITS_HEADER_BYTES"];
        /// Seconds to finish open requests and calls after SIGTERM.
        drain_timeout: u64 = 10, "drainTimeout", env ["SERVER_LIMITS_DRAIN_TIMEOUT"];
    }
}

section! {
    /// ACME details.
    pub struct Acme {
        /// http-01 or dns-01.
        challenge: String = "http-01".to_owned(), "challenge", env ["SERVER_ACME_CHALLENGE"], inert;
        /// DNS provider for dns-01.
        dns_provider: String = "cloudflare".to_owned(), "dnsProvider", env ["SERVER_ACME_DNS_PROVIDER"], inert;
        /// Cloudflare API token with Zone:DNS:Edit.
        cloudflare_api_token: Secret = Secret::default(), "cloudflareAPIToken", env ["CLOUDFLARE_API_TOKEN", "CF_API_TOKEN"], inert;
    }
}
