//! Opening the socket.

use crate::config::UdpMode;
use crate::error::NetError;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

/// The socket and what the kernel can do for it.
#[derive(Debug)]
pub(crate) struct UdpPort {
    pub(crate) socket: UdpSocket,
    pub(crate) local: SocketAddr,
    /// An IPv6 socket: IPv4 peers appear and are addressed as mapped addresses.
    pub(crate) v6: bool,
    /// Receive offload is on: one read may hold many datagrams.
    pub(crate) gro: bool,
    /// Send offload is available.
    pub(crate) gso: bool,
    pub(crate) scalar: bool,
    /// Bound to all addresses: each datagram says which one it came to, and replies leave from that one.
    pub(crate) tells_local: bool,
}

impl AsRawFd for UdpPort {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Opens `count` sockets on one address, sharing the port when there are several.
pub(crate) fn bind(
    address: SocketAddr,
    count: u16,
    buffer: usize,
    mode: UdpMode,
) -> Result<Vec<UdpPort>, NetError> {
    let failed = |address| move |source| NetError::Bind { address, source };
    let shared = count > 1;
    let first = match open(address, shared, buffer, mode) {
        // Without IPv6 on this host, all of IPv4 is all there is.
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            open(v4, shared, buffer, mode).map_err(failed(v4))?
        }
        other => other.map_err(failed(address))?,
    };
    let local = first.local;
    let mut ports = vec![first];
    for _ in 1..count {
        ports.push(open(local, shared, buffer, mode).map_err(failed(local))?);
    }
    Ok(ports)
}

fn open(address: SocketAddr, shared: bool, buffer: usize, mode: UdpMode) -> io::Result<UdpPort> {
    let v6 = address.is_ipv6();
    let socket = Socket::new(if v6 { Domain::IPV6 } else { Domain::IPV4 }, Type::DGRAM, Some(Protocol::UDP))?;
    if v6 {
        socket.set_only_v6(false)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    // The system clamps these to its own limits; a smaller buffer is no reason not to start.
    let _ = socket.set_recv_buffer_size(buffer);
    let _ = socket.set_send_buffer_size(buffer);
    socket.bind(&SockAddr::from(address))?;
    let socket = UdpSocket::from(socket);
    let local = socket.local_addr()?;
    let offload = mode == UdpMode::Auto;
    let gro = offload && set_option(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
    let gso = offload && set_option(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0);
    let scalar = mode == UdpMode::Scalar;
    let (level, name) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let tells_local = !scalar && local.ip().is_unspecified() && set_option(&socket, level, name, 1);
    Ok(UdpPort { socket, local, v6, gro, gso, scalar, tells_local })
}

fn set_option(socket: &UdpSocket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> bool {
    // SAFETY: the value is a c_int that outlives the call, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    result == 0
}
