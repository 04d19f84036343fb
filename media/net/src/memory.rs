//! Memory that was needed once and is not any more.

/// Makes large blocks go back to the system as soon as they are freed. By default the C library raises its limit for
/// such blocks to the largest one it ever freed, and later ones of that size stay in its heap.
pub fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two integers and may be called at any time.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1024 * 1024);
    }
}

/// Gives free pages of the heap back to the system. It may take some milliseconds: for a thread that may block.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes an integer and may be called at any time by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
