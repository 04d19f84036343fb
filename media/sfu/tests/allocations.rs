//! Forwarding allocates nothing per packet once its buffers have grown.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "counting allocations takes a global allocator")]

mod support;

use bedrud_rtp::{Codec, MediaKind, Mid, OutExtensions, OutHeader, SrtpSender};
use bedrud_sfu::{Command, SendBatch, UpLayer, UpTrackConfig, UpTrackId};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::{World, audio_down, path, publisher::audio_pt, tid};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes everything to the system's allocator and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

fn packet(tx: &SrtpSender, n: u64) -> Vec<u8> {
    let header = OutHeader {
        marker: true,
        pt: 111,
        seq: n as u16,
        timestamp: (n * 960) as u32,
        ssrc: 5,
        padding: false,
        extensions: OutExtensions { transport_cc: Some(n as u16), ..OutExtensions::default() },
    };
    let mut out = Vec::new();
    let written = header.write(&mut out, &support::extensions());
    out.extend([7; 160]);
    tx.seal_rtp(&mut out, 0, written.header_len, n).unwrap();
    out
}

#[test]
fn the_packet_path_does_not_allocate() {
    let mut w = World::new(1);
    let (tx, _) = w.connect(0);
    let track = UpTrackId(1);
    w.command(Command::SetUpTrack(UpTrackConfig {
        id: track,
        transport: tid(0),
        kind: MediaKind::Audio,
        mid: Mid::new("a").unwrap(),
        payload_types: vec![audio_pt(111, Codec::Opus, true)],
        layers: vec![UpLayer { spatial: 0, rid: None, ssrc: Some(5), rtx_ssrc: None }],
    }));
    for slot in 1..=20 {
        w.connect(slot);
        w.command(Command::AddDownTrack(audio_down(slot, track)));
    }
    let mut packets: Vec<Vec<u8>> = (1..3000).map(|n| packet(&tx, n)).collect();
    let mut batch = SendBatch::default();
    let (warm, measured) = packets.split_at_mut(1500);
    let mut now = w.now;
    let mut run = |packets: &mut [Vec<u8>]| {
        let (mut worst, mut sent) = (0u64, 0usize);
        for p in packets {
            now += Duration::from_millis(1);
            batch.clear();
            // Timers may allocate now and then (reports, events): the packet path alone is measured.
            w.shard.handle_timeout(now);
            while w.shard.poll_event().is_some() {}
            w.shard.flush(now, &mut batch);
            batch.clear();
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            w.shard.handle_datagram(now, path(0), p);
            w.shard.flush(now, &mut batch);
            worst = worst.max(ALLOCATIONS.load(Ordering::Relaxed) - before);
            sent += batch.packets();
        }
        (worst, sent)
    };
    run(warm);
    let (worst, sent) = run(measured);
    assert!(sent >= 1400 * 20, "{sent}");
    assert_eq!(worst, 0, "allocations of one packet to twenty subscribers");
}
