//! The accept loop of a TCP port: the first bytes decide where a connection goes.

use super::http;
use super::shutdown::Guard;
use super::stream::Rewound;
use anyhow::Context as _;
use bedrud_media::{SNIFF_BYTES, Sfu, Sniff, sniff};
use socket2::{Domain, Protocol as IpProtocol, SockRef, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Connections the system may hold back for us.
const BACKLOG: i32 = 1024;
/// The system ends a connection whose peer takes nothing for this time, even if it is alive.
const DEAD_PEER: Duration = Duration::from_secs(60);
/// Pause after a failed accept (mostly: out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What happens to connections of a port.
pub struct Port {
    /// HTTP requests.
    pub http: http::Service,
    /// ICE over TCP, if media is served here.
    pub media: Option<Sfu>,
    /// TLS, if certificates are there.
    pub tls: Option<TlsAcceptor>,
    /// Open connections, in total and per address.
    pub connections: Arc<Connections>,
    /// Time for the first bytes, and for the TLS handshake.
    pub sniff_timeout: Duration,
}

/// Counts open connections.
#[derive(Debug)]
pub struct Connections {
    total: Arc<Semaphore>,
    per_address: Mutex<HashMap<IpAddr, u32>>,
    max_per_address: u32,
}

/// One open connection.
#[derive(Debug)]
pub struct ConnectionPermit {
    _total: tokio::sync::OwnedSemaphorePermit,
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    /// Limits; `max_per_address` 0 is no limit.
    #[must_use]
    pub fn new(max: u32, max_per_address: u32) -> Arc<Self> {
        Arc::new(Self {
            total: Arc::new(Semaphore::new(max as usize)),
            per_address: Mutex::new(HashMap::new()),
            max_per_address,
        })
    }

    /// `shared` addresses stand for many clients (a reverse proxy) and have no limit of their own.
    fn admit(
        self: &Arc<Self>,
        total: tokio::sync::OwnedSemaphorePermit,
        address: IpAddr,
        shared: bool,
    ) -> Option<ConnectionPermit> {
        let mut map = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = map.entry(address).or_insert(0);
        if !shared && self.max_per_address != 0 && *count >= self.max_per_address {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit { _total: total, connections: Arc::clone(self), address })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut map = self.connections.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = map.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                map.remove(&self.address);
            }
        }
    }
}

/// Opens a listening socket. The unspecified IPv6 address takes IPv4 as well; without IPv6 on this host, IPv4 alone.
///
/// # Errors
/// The address is taken or not of this host; the message names it.
pub fn bind(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let result = match open(address) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && no_ipv6(&error) => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        other => other,
    };
    result.with_context(|| match address.port() {
        0..1024 => format!(
            "cannot listen on {address} (is another program using it? ports below 1024 need CAP_NET_BIND_SERVICE)"
        ),
        _ => format!("cannot listen on {address} (is another program using it? choose another with server.port)"),
    })
}

fn no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(IpProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until told to stop.
pub async fn serve(listener: TcpListener, port: Arc<Port>, guard: Guard) {
    loop {
        let Ok(total) = Arc::clone(&port.connections.total).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = guard.stopped() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
                {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        let peer = SocketAddr::new(super::client_ip::unmap(peer.ip()), peer.port());
        let Some(permit) = port.connections.admit(total, peer.ip(), port.http.proxies.trusts(peer.ip()))
        else {
            tracing::debug!(%peer, "too many connections from one address");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(DEAD_PEER));
        tokio::spawn(connection(stream, peer, Arc::clone(&port), permit, guard.clone()));
    }
}

async fn connection(
    mut stream: TcpStream,
    peer: SocketAddr,
    port: Arc<Port>,
    permit: ConnectionPermit,
    guard: Guard,
) {
    let Some((head, protocol)) = first_bytes(&mut stream, port.sniff_timeout).await else { return };
    match protocol {
        Sniff::Http => {
            let scheme = if port.tls.is_some() { http::Scheme::PlainBesideTls } else { http::Scheme::Http };
            http::serve(Rewound::new(head, stream), peer, scheme, &port.http, &guard).await;
        }
        Sniff::IceTcp | Sniff::SslTcp => {
            // Handed over with limits of their own: whoever keeps it ends it at shutdown.
            let Some(media) = &port.media else { return };
            let adopted = stream.into_std().map(|stream| media.adopt_tcp(stream, head));
            if let Ok(Err(error)) = adopted {
                tracing::debug!(%peer, %error, "ICE/TCP connection refused");
            }
        }
        Sniff::Tls => {
            let Some(acceptor) = &port.tls else { return };
            let handshake = acceptor.accept(Rewound::new(head, stream));
            let Ok(Ok(mut tls)) = tokio::time::timeout(port.sniff_timeout, handshake).await else { return };
            // Only HTTP is spoken inside TLS; looking first keeps garbage away from the parser.
            if let Some((head, Sniff::Http)) = first_bytes(&mut tls, port.sniff_timeout).await {
                http::serve(Rewound::new(head, tls), peer, http::Scheme::Https, &port.http, &guard).await;
            }
        }
        Sniff::NeedMore | Sniff::TurnTcp | Sniff::Unknown => {}
    }
    drop(permit);
}

/// Reads until the protocol is known. `None`: closed, too slow, or nothing we speak.
async fn first_bytes(stream: &mut (impl AsyncRead + Unpin), limit: Duration) -> Option<(Vec<u8>, Sniff)> {
    let mut buf = [0u8; SNIFF_BYTES];
    let mut len = 0;
    let look = async {
        loop {
            let n = stream.read(buf.get_mut(len..)?).await.ok().filter(|n| *n > 0)?;
            len += n;
            match sniff(buf.get(..len)?) {
                Sniff::NeedMore => {}
                Sniff::Unknown => return None,
                protocol => return Some(protocol),
            }
        }
    };
    let protocol = tokio::time::timeout(limit, look).await.ok()??;
    Some((buf.get(..len)?.to_vec(), protocol))
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
