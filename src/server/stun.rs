//! Asks STUN servers under which address this host is seen (RFC 8489, Binding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, interval, timeout_at};

const MAGIC: u32 = 0x2112_A442;
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const HEADER: usize = 20;
/// A request is repeated after this.
const REPEAT: Duration = Duration::from_millis(500);
/// Addresses that are asked at the same time.
const MAX_SERVERS: usize = 16;

type Id = [u8; 12];

/// The address that the first server to answer sees `local` as; `None` when none answers within the limit. `servers` are
/// `host:port`, with or without `stun:`. `id` should be random.
pub async fn mapped(local: IpAddr, servers: &[String], id: Id, limit: Duration) -> Option<IpAddr> {
    let deadline = Instant::now() + limit;
    let asking = async {
        let socket = UdpSocket::bind(SocketAddr::new(local, 0)).await.ok()?;
        let servers = resolve(local, servers).await;
        if servers.is_empty() {
            return None;
        }
        let request = request(id);
        let mut repeats = interval(REPEAT);
        let mut buf = [0u8; 1500];
        loop {
            tokio::select! {
                _ = repeats.tick() => {
                    for server in &servers {
                        let _ = socket.send_to(&request, server).await;
                    }
                }
                received = socket.recv_from(&mut buf) => {
                    let Ok((len, from)) = received else { continue };
                    let answer = buf.get(..len).filter(|_| servers.contains(&from));
                    if let Some(ip) = answer.and_then(|bytes| read(bytes, id)) {
                        return Some(ip);
                    }
                }
            }
        }
    };
    timeout_at(deadline, asking).await.ok().flatten()
}

async fn resolve(local: IpAddr, servers: &[String]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for server in servers {
        let name = server.trim_start_matches("stun:");
        match lookup_host(name).await {
            Ok(addresses) => found.extend(addresses.filter(|a| a.is_ipv4() == local.is_ipv4()).take(2)),
            Err(error) => tracing::debug!(server = name, %error, "STUN server cannot be resolved"),
        }
    }
    found.truncate(MAX_SERVERS);
    found
}

fn request(id: Id) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    let fields = BINDING_REQUEST
        .iter()
        .chain(&[0, 0])
        .chain(&MAGIC.to_be_bytes())
        .chain(&id)
        .copied()
        .collect::<Vec<_>>();
    out.copy_from_slice(&fields);
    out
}

/// The mapped address of a success response to this request.
fn read(bytes: &[u8], id: Id) -> Option<IpAddr> {
    let (header, mut rest) = bytes.split_at_checked(HEADER)?;
    if !header.starts_with(&BINDING_SUCCESS)
        || header.get(4..8)? != MAGIC.to_be_bytes()
        || header.get(8..)? != id
    {
        return None;
    }
    let mut plain = None;
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let [t0, t1, l0, l1] = *head;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let value = after.get(..len)?;
        match u16::from_be_bytes([t0, t1]) {
            XOR_MAPPED_ADDRESS => return address(value, Some(id)),
            MAPPED_ADDRESS => plain = address(value, None),
            _ => {}
        }
        rest = after.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    plain
}

/// Value of (XOR-)MAPPED-ADDRESS: a zero byte, family, port, address.
fn address(value: &[u8], xor: Option<Id>) -> Option<IpAddr> {
    let family = value.get(1)?;
    let mut pad = [0; 16];
    if let Some(id) = xor {
        let key = MAGIC.to_be_bytes().into_iter().chain(id);
        pad.iter_mut().zip(key).for_each(|(p, k)| *p = k);
    }
    let octets = value.get(4..)?.iter().zip(pad).map(|(byte, pad)| byte ^ pad).collect::<Vec<u8>>();
    match family {
        1 => octets.first_chunk::<4>().map(|o| Ipv4Addr::from(*o).into()),
        2 => octets.first_chunk::<16>().map(|o| Ipv6Addr::from(*o).into()),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A STUN server on loopback that sees everybody as `seen`, and answers the second request first.
    pub(crate) async fn server(seen: Ipv4Addr) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buf = [0; 1500];
            for n in 0.. {
                let (len, from) = socket.recv_from(&mut buf).await.unwrap();
                assert_eq!((len, &buf[..2]), (HEADER, &BINDING_REQUEST[..]));
                if n == 0 {
                    socket.send_to(b"not STUN", from).await.unwrap();
                } else {
                    socket.send_to(&answer(&buf[8..20], seen), from).await.unwrap();
                }
            }
        });
        address
    }

    pub(crate) fn answer(id: &[u8], seen: Ipv4Addr) -> Vec<u8> {
        let mut out = vec![1, 1, 0, 20];
        out.extend(MAGIC.to_be_bytes());
        out.extend(id);
        // SOFTWARE, three bytes and padding.
        out.extend([0x80, 0x22, 0, 3, b'x', b'y', b'z', 0]);
        out.extend([0, 0x20, 0, 8, 0, 1, 0x21 ^ 0x12, 0x12 ^ 0x34]);
        out.extend(seen.octets().iter().zip(MAGIC.to_be_bytes()).map(|(a, b)| a ^ b));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{answer, server};
    use super::*;
    use proptest::prelude::*;

    const ID: Id = [7; 12];
    const SEEN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

    #[tokio::test]
    async fn first_answer_counts_and_silence_ends() {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let local = Ipv4Addr::LOCALHOST.into();
        let servers = [silent.local_addr().unwrap(), server(SEEN).await].map(|a| format!("stun:{a}"));
        assert_eq!(mapped(local, &servers, ID, Duration::from_secs(30)).await, Some(SEEN.into()));
        assert_eq!(mapped(local, &servers[..1], ID, Duration::from_millis(50)).await, None);
        assert_eq!(mapped(local, &[], ID, Duration::from_secs(30)).await, None);
    }

    #[test]
    fn only_answers_to_the_request_are_read() {
        assert_eq!(read(&answer(&ID, SEEN), ID), Some(SEEN.into()));
        assert_eq!(read(&answer(&[8; 12], SEEN), ID), None);
        let mut refused = answer(&ID, SEEN);
        refused[1] = 0x11;
        assert_eq!(read(&refused, ID), None);
        let mut plain = answer(&ID, SEEN);
        plain.splice(28.., [0, 1, 0, 8, 0, 1, 0, 9, 192, 0, 2, 1]);
        assert_eq!(read(&plain, ID), Some(Ipv4Addr::new(192, 0, 2, 1).into()));
    }

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(tail: Vec<u8>, cut in 0usize..64) {
            let mut bytes = answer(&ID, SEEN);
            bytes.truncate(cut);
            bytes.extend(tail);
            let _ = read(&bytes, ID);
        }
    }
}
