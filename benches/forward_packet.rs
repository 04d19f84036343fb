//! Forwarding one packet to N subscribers: through the shard, against bare copy and seal, against str0m's RTP mode.
//!
//! Criterion records absolute times of every side. Then each pair is measured again in alternating rounds, because
//! a shared machine drifts more between two runs than the sides differ; only those ratios are judged.

#![allow(missing_docs, reason = "criterion's macro makes the entry point")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark prints, and ends when broken"
)]

mod sides;

use criterion::{Criterion, Throughput, criterion_group};
use sides::{Bare, RtcForwarder, ShardForwarder, Side};
use std::time::Duration;

/// Sealed packets of one timed stretch: some milliseconds.
const STRETCH: u64 = 20_000;
const ROUNDS: usize = 31;

fn packets(side: &dyn Side) -> u64 {
    (STRETCH / side.fanout() as u64).max(8)
}

fn absolute(c: &mut Criterion) {
    let mut group = c.benchmark_group("forward_packet");
    group.sample_size(15).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    let sides: Vec<Box<dyn Side>> = vec![
        Box::new(Bare::new(1)),
        Box::new(ShardForwarder::new(1, 1)),
        Box::new(Bare::new(100)),
        Box::new(ShardForwarder::new(100, 1)),
        Box::new(Bare::new(1000)),
        Box::new(ShardForwarder::new(1000, 1)),
        Box::new(ShardForwarder::new(20, 20)),
        Box::new(RtcForwarder::new(100, 1)),
        Box::new(RtcForwarder::new(20, 20)),
    ];
    for mut side in sides {
        group.throughput(Throughput::Elements(side.fanout() as u64));
        let name = side.name();
        group.bench_function(name, |b| b.iter_custom(|iterations| side.run(iterations)));
    }
    group.finish();
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

/// Measures both in turn and prints nanoseconds per sent packet and the ratio of every round.
fn compare(left: &mut dyn Side, right: &mut dyn Side) {
    let mut rounds = Vec::new();
    let per_packet = |side: &mut dyn Side| {
        let packets = packets(side);
        side.run(packets).as_secs_f64() * 1e9 / (packets * side.fanout() as u64) as f64
    };
    per_packet(left);
    per_packet(right);
    for _ in 0..ROUNDS {
        let (l, r) = (per_packet(left), per_packet(right));
        rounds.push((l, r, l / r));
    }
    let column = |pick: fn(&(f64, f64, f64)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (l, r, ratio) = (column(|v| v.0), column(|v| v.1), column(|v| v.2));
    println!(
        "| {} | {:.0} | {} | {:.0} | {:.2} | {:.2}-{:.2} |",
        left.name(),
        percentile(&l, 0.5),
        right.name(),
        percentile(&r, 0.5),
        percentile(&ratio, 0.5),
        percentile(&ratio, 0.1),
        percentile(&ratio, 0.9),
    );
}

fn ratios() {
    println!(
        "\nNanoseconds per sent packet, medians of {ROUNDS} alternating rounds; ratio left/right, median and p10-p90\n"
    );
    println!("| left | ns | right | ns | ratio | p10-p90 |\n|---|---|---|---|---|---|");
    for n in [1, 100, 1000] {
        compare(&mut ShardForwarder::new(n, 1), &mut Bare::new(n));
    }
    compare(&mut ShardForwarder::new(1, 1), &mut Bare::with_open(1));
    compare(&mut ShardForwarder::new(20, 20), &mut ShardForwarder::new(20, 1));
    compare(&mut RtcForwarder::new(1, 1), &mut ShardForwarder::new(1, 1));
    compare(&mut RtcForwarder::new(100, 1), &mut ShardForwarder::new(100, 1));
    compare(&mut RtcForwarder::new(20, 20), &mut ShardForwarder::new(20, 20));
}

criterion_group!(benches, absolute);

fn main() {
    // Only `cargo bench` says so; `cargo test` gets one short pass of every side.
    if !std::env::args().any(|a| a == "--bench") {
        for n in [1, 3] {
            sides::check(&mut ShardForwarder::new(n, 2), 20);
            sides::check(&mut RtcForwarder::new(n, 2), 20);
            sides::check(&mut Bare::new(n), 20);
            sides::check(&mut Bare::with_open(n), 20);
        }
        return;
    }
    if !std::env::args().any(|a| a == "--ratios") {
        benches();
    }
    ratios();
}
