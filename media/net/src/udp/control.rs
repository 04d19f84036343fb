//! Control messages: segmentation offload, and the local address of a datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Room for the messages used here, aligned as the kernel wants it.
pub(crate) type ControlBuffer = [u64; 10];

/// An empty buffer.
pub(crate) const EMPTY: ControlBuffer = [0; 10];

/// Appends control messages to a message that is about to be sent.
pub(crate) struct Writer<'a> {
    message: &'a mut libc::msghdr,
    used: usize,
}

impl<'a> Writer<'a> {
    /// Points `message` at `buffer`. Without any message written, none is sent.
    pub(crate) fn new(message: &'a mut libc::msghdr, buffer: &mut ControlBuffer) -> Self {
        message.msg_control = buffer.as_mut_ptr().cast();
        message.msg_controllen = 0;
        Self { message, used: 0 }
    }

    fn put<T>(&mut self, level: libc::c_int, kind: libc::c_int, value: T) {
        let length = size_of::<T>() as libc::c_uint;
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
        let (space, length) = unsafe { (libc::CMSG_SPACE(length) as usize, libc::CMSG_LEN(length)) };
        if self.used + space > size_of::<ControlBuffer>() {
            return;
        }
        // SAFETY: `msg_control` points at a zeroed, aligned buffer with at least `used + space` bytes.
        unsafe {
            let header = self.message.msg_control.cast::<u8>().add(self.used).cast::<libc::cmsghdr>();
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = length as _;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
        }
        self.used += space;
        self.message.msg_controllen = self.used as _;
    }

    /// Every `size` bytes are one datagram.
    pub(crate) fn segment(&mut self, size: u16) {
        self.put(libc::SOL_UDP, libc::UDP_SEGMENT, size);
    }

    /// The datagram leaves from this address.
    pub(crate) fn source(&mut self, ip: IpAddr, v6_socket: bool) {
        match ip {
            IpAddr::V4(v4) if !v6_socket => {
                let spec_dst = libc::in_addr { s_addr: u32::from_ne_bytes(v4.octets()) };
                let any = libc::in_addr { s_addr: 0 };
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: spec_dst, ipi_addr: any };
                self.put(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            _ => {
                let v6 = match ip {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                let info =
                    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: v6.octets() }, ipi6_ifindex: 0 };
                self.put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }
}

/// What the kernel says about a received message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Every so many bytes are one datagram.
    pub(crate) segment: Option<usize>,
    /// The address it was sent to.
    pub(crate) local: Option<IpAddr>,
}

/// Reads the control messages of a received message.
pub(crate) fn read(message: &libc::msghdr) -> Received {
    let mut received = Received::default();
    // SAFETY: the kernel filled `msg_control` and `msg_controllen`; the macros stay inside, and each type is as large
    // as the kernel says for its level and kind.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = data.cast::<libc::c_int>().read_unaligned();
                    received.segment = usize::try_from(size).ok().filter(|s| *s > 0);
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    received.local = Some(IpAddr::V4(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    received.local = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical());
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    received
}
