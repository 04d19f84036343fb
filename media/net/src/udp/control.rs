//! The two control messages of UDP offload.

/// Room for one control message, aligned as the kernel wants it.
pub(crate) type ControlBuffer = [u64; 4];

/// Writes `UDP_SEGMENT` into `buffer` and points `message` at it.
pub(crate) fn set_segment(message: &mut libc::msghdr, buffer: &mut ControlBuffer, segment: u16) {
    message.msg_control = buffer.as_mut_ptr().cast();
    message.msg_controllen = size_of::<ControlBuffer>() as _;
    // SAFETY: `msg_control` points at `msg_controllen` writable, aligned bytes, enough for a header and a u16.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        if header.is_null() {
            return;
        }
        (*header).cmsg_level = libc::SOL_UDP;
        (*header).cmsg_type = libc::UDP_SEGMENT;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as libc::c_uint) as _;
        libc::CMSG_DATA(header).cast::<u16>().write_unaligned(segment);
        message.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as libc::c_uint) as _;
    }
}

/// Reads the segment size of a received `UDP_GRO` message.
pub(crate) fn segment(message: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel filled `msg_control` and `msg_controllen`; the macros stay inside.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_UDP && (*header).cmsg_type == libc::UDP_GRO {
                let size = libc::CMSG_DATA(header).cast::<libc::c_int>().read_unaligned();
                return usize::try_from(size).ok().filter(|s| *s > 0);
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    None
}
