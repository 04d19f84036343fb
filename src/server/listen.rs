//! The accept loop of a TCP port: the first bytes decide where a connection goes.

use super::connections::Permit;
use super::http;
use super::shutdown::Guard;
use super::stream::Rewound;
use anyhow::Context as _;
use bedrud_media::{SNIFF_BYTES, Sfu, Sniff, sniff};
use socket2::{Domain, Protocol as IpProtocol, SockRef, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};
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
    /// Time for the first bytes, and for the TLS handshake.
    pub sniff_timeout: Duration,
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
        let connections = &port.http.connections;
        let accepted = tokio::select! {
            accepted = async { connections.room().await; listener.accept().await } => accepted,
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
        let Some(permit) = connections.admit(peer.ip(), port.http.proxies.trusts(peer.ip())) else {
            tracing::debug!(%peer, "too many connections from one address");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(DEAD_PEER));
        tokio::spawn(connection(stream, peer, Arc::clone(&port), permit, guard.clone()));
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, port: Arc<Port>, permit: Permit, guard: Guard) {
    // One deadline for everything up to the first head: whoever is slow in each part is slow.
    let deadline = port.http.limits.head.time.and_then(|time| Instant::now().checked_add(time));
    let evicted = permit.evicted();
    let opened = tokio::select! {
        opened = open_protocol(stream, peer, &port, deadline) => opened,
        () = evicted => None,
    };
    match opened {
        Some(Opened::Plain(stream)) => {
            let scheme = if port.tls.is_some() { http::Scheme::PlainBesideTls } else { http::Scheme::Http };
            http::serve(stream, peer, scheme, &port.http, &guard, permit, deadline).await;
        }
        Some(Opened::Tls(stream)) => {
            http::serve(*stream, peer, http::Scheme::Https, &port.http, &guard, permit, deadline).await;
        }
        None => {}
    }
}

/// A stream that speaks HTTP.
enum Opened {
    Plain(Rewound<TcpStream>),
    Tls(Box<Rewound<tokio_rustls::server::TlsStream<Rewound<TcpStream>>>>),
}

/// Finds out what a connection is for. `None`: it is of no use, or somebody else has it now.
async fn open_protocol(
    mut stream: TcpStream,
    peer: SocketAddr,
    port: &Port,
    deadline: Option<Instant>,
) -> Option<Opened> {
    // A part has its own time, and no more than is left of the whole.
    let soon = || {
        let part = Instant::now().checked_add(port.sniff_timeout);
        [part, deadline].into_iter().flatten().min().unwrap_or_else(Instant::now)
    };
    let (head, protocol) = first_bytes(&mut stream, soon()).await?;
    match protocol {
        Sniff::Http => Some(Opened::Plain(Rewound::new(head, stream))),
        Sniff::IceTcp | Sniff::SslTcp => {
            // Handed over with limits of their own: whoever keeps it ends it at shutdown.
            let media = port.media.as_ref()?;
            let adopted = stream.into_std().map(|stream| media.adopt_tcp(stream, head));
            if let Ok(Err(error)) = adopted {
                tracing::debug!(%peer, %error, "ICE/TCP connection refused");
            }
            None
        }
        Sniff::Tls => {
            let handshake = port.tls.as_ref()?.accept(Rewound::new(head, stream));
            let mut tls = timeout_at(soon(), handshake).await.ok()?.ok()?;
            // Only HTTP is spoken inside TLS; looking first keeps garbage away from the parser.
            match first_bytes(&mut tls, soon()).await? {
                (head, Sniff::Http) => Some(Opened::Tls(Box::new(Rewound::new(head, tls)))),
                _ => None,
            }
        }
        Sniff::NeedMore | Sniff::TurnTcp | Sniff::Unknown => None,
    }
}

/// Reads until the protocol is known. `None`: closed, too slow, or nothing we speak.
async fn first_bytes(stream: &mut (impl AsyncRead + Unpin), deadline: Instant) -> Option<(Vec<u8>, Sniff)> {
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
    let protocol = timeout_at(deadline, look).await.ok()??;
    Some((buf.get(..len)?.to_vec(), protocol))
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
