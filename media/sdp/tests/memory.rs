//! What a hostile description makes us allocate is bounded by its size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "counting allocations takes a global allocator")]

mod common;

use bedrud_sdp::AnswerChoices;
use common::{answerer, fixture, local};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: passes everything to the system's allocator and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = BYTES.try_with(|b| b.set(b.get() + layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// Bytes allocated by reading and answering, freed ones too, for each byte of the offer.
fn expansion(sdp: &str) -> usize {
    let mut answerer = answerer(true);
    let before = BYTES.get();
    if answerer.apply_offer(sdp).is_ok() {
        answerer.answer(&local(1), &AnswerChoices::new()).unwrap();
    }
    (BYTES.get() - before) / sdp.len()
}

#[test]
fn memory_grows_with_the_description_and_not_faster() {
    let ordinary = fixture("chromium-single-first-offer");
    let head: String = ordinary.split_inclusive('\n').take_while(|l| !l.starts_with("m=")).collect();
    let head: String = head.split_inclusive('\n').filter(|l| !l.contains("BUNDLE")).collect();
    let transport: String = ordinary
        .split_inclusive('\n')
        .filter(|l| ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"].iter().any(|a| l.starts_with(a)))
        .take(4)
        .collect();
    let offer = |section: &dyn Fn(usize) -> String| {
        let mids: String = (0..500).map(|i| format!(" {i}")).collect();
        let sections: String =
            (0..500).map(|i| format!("{}a=mid:{i}\r\na=rtcp-mux\r\n", section(i))).collect();
        format!("{head}{transport}a=group:BUNDLE{mids}\r\n{sections}")
    };
    let formats: String = (0..128).map(|i| format!(" {i}")).collect();
    let wildcards: String = (0..16).map(|i| format!("a=rtcp-fb:* f{i}\r\n")).collect();
    let maps: String = (0..128).map(|i| format!("a=rtpmap:{i} VP8/1\r\n")).collect();
    for (what, sdp, limit) in [
        ("an ordinary offer", ordinary.clone(), 60),
        ("empty sections", offer(&|_| "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".into()), 100),
        ("foreign sections", offer(&|_| "m=x 9 y z\r\n".into()), 100),
        ("payload types alone", offer(&|_| format!("m=video 9 UDP/TLS/RTP/SAVPF{formats}\r\n")), 100),
        (
            "payload types and feedback for all of them",
            offer(&|_| format!("m=video 9 UDP/TLS/RTP/SAVPF{formats}\r\n{wildcards}")),
            100,
        ),
        (
            "payload types with names and feedback for all of them",
            offer(&|_| format!("m=video 9 UDP/TLS/RTP/SAVPF{formats}\r\n{wildcards}{maps}")),
            100,
        ),
        ("a group of nothing", format!("{head}{transport}a=group:BUNDLE{}\r\n", " 1".repeat(900_000)), 1),
    ] {
        let found = expansion(&sdp);
        assert!(found <= limit, "{what}: {found} bytes for each byte of {}", sdp.len());
    }
}
