//! How a peer connection reaches the server: UDP, or ICE/TCP.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;
use str0m::Candidate;
use str0m::net::{Protocol, TcpType};

pub enum Link {
    Udp(UdpSocket),
    Tcp { stream: Option<TcpStream>, buffered: Vec<u8> },
}

impl Link {
    pub fn udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self::Udp(socket)
    }

    pub fn tcp() -> Self {
        Self::Tcp { stream: None, buffered: vec![] }
    }

    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Udp(_) => Protocol::Udp,
            Self::Tcp { .. } => Protocol::Tcp,
        }
    }

    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(s) => s.local_addr().ok(),
            Self::Tcp { stream, .. } => stream.as_ref().and_then(|s| s.local_addr().ok()),
        }
    }

    /// Uses a candidate of the server; TCP connects now. Returns our own candidate when it is new.
    pub fn reach(&mut self, server: SocketAddr) -> Option<Candidate> {
        match self {
            Self::Udp(_) => None,
            Self::Tcp { stream: Some(_), .. } => None,
            Self::Tcp { stream, .. } => {
                let s = TcpStream::connect_timeout(&server, Duration::from_secs(5)).unwrap();
                s.set_nonblocking(true).unwrap();
                s.set_nodelay(true).unwrap();
                let local = s.local_addr().unwrap();
                *stream = Some(s);
                Some(Candidate::builder().tcp().host(local).tcptype(TcpType::Active).build().unwrap())
            }
        }
    }

    pub fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        match self {
            Self::Udp(s) => {
                let _ = s.send_to(bytes, to);
            }
            Self::Tcp { stream: Some(s), .. } => {
                let mut framed = (bytes.len() as u16).to_be_bytes().to_vec();
                framed.extend_from_slice(bytes);
                let mut rest = framed.as_slice();
                while !rest.is_empty() {
                    match s.write(rest) {
                        Ok(n) => rest = &rest[n..],
                        Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                        Err(_) => return,
                    }
                }
            }
            Self::Tcp { .. } => {}
        }
    }

    /// One datagram or frame, and where it came from.
    pub fn receive(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let mut buf = [0; 4096];
        match self {
            Self::Udp(s) => s.recv_from(&mut buf).ok().map(|(n, from)| (from, buf[..n].to_vec())),
            Self::Tcp { stream, buffered } => {
                let s = stream.as_mut()?;
                if let Ok(n) = s.read(&mut buf) {
                    buffered.extend_from_slice(&buf[..n]);
                }
                let length = usize::from(u16::from_be_bytes(*buffered.first_chunk::<2>()?));
                if buffered.len() < 2 + length {
                    return None;
                }
                let frame = buffered[2..2 + length].to_vec();
                buffered.drain(..2 + length);
                Some((s.peer_addr().ok()?, frame))
            }
        }
    }
}
