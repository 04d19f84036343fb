//! An estimate of what a subscriber's path carries: additive-multiplicative from loss and queueing delay, with the
//! receiver's own estimate (REMB) as ceiling while it is below what is sent.

use super::history::{Acknowledged, SendHistory};
use crate::config::ShardConfig;
use std::time::{Duration, Instant};

/// Loss above which the rate falls.
const LOSS_HIGH: f64 = 0.10;
/// Loss below which the rate rises.
const LOSS_LOW: f64 = 0.02;
/// Rise per second.
const GROWTH: f64 = 1.08;
/// Rise per second before the first sign of congestion.
const STARTUP_GROWTH: f64 = 1.5;
/// Standing queue that counts as congestion.
const QUEUE_LIMIT_US: i64 = 150_000;
/// No rise for this long after a fall; no second fall within half of it.
const HOLD: Duration = Duration::from_secs(2);
/// Least packets for a judgement about loss.
const MIN_SAMPLE: u64 = 20;
/// A fallen rate is this share of what arrived.
const BACK_OFF: f64 = 0.85;
/// A receiver estimate is a limit only below this share of the sent rate: receivers do not estimate what they are not
/// sent.
const REMB_SHARE: f64 = 0.95;
/// Receiver estimates must stay low for this long: they climb behind a stream that has just begun.
const REMB_PATIENCE: Duration = Duration::from_millis(1_500);
/// Rates below this say nothing.
const MIN_SENT: u64 = 50_000;
/// Window of the sent rate.
const WINDOW: Duration = Duration::from_millis(500);

/// Receiver reports say nothing about loss for this long after transport-wide feedback, which has told it already.
const FEEDBACK_FRESH: Duration = Duration::from_secs(5);

/// Packets counted since the last judgement.
#[derive(Debug, Default)]
struct LossSample {
    lost: u64,
    expected: u64,
}

impl LossSample {
    fn add(&mut self, lost: u64, expected: u64) {
        self.lost = self.lost.saturating_add(lost);
        self.expected = self.expected.saturating_add(expected);
    }

    /// The share lost, once enough packets are known; the count starts anew then.
    fn take(&mut self) -> Option<f64> {
        if self.expected < MIN_SAMPLE {
            return None;
        }
        let Self { lost, expected } = std::mem::take(self);
        Some((lost as f64 / expected as f64).min(1.0))
    }
}

/// Egress state of one transport.
#[derive(Debug)]
pub(crate) struct Egress {
    rate: f64,
    min: f64,
    max: f64,
    cap: Option<u64>,
    startup: bool,
    last_growth: Instant,
    last_fall: Option<Instant>,
    /// Loss by receiver reports: a few seconds old, and of the streams that have them.
    reported: LossSample,
    /// Loss by transport-wide feedback: at once, and of everything. The same packets as in `reported`.
    acknowledged: LossSample,
    last_feedback: Option<Instant>,
    window_start: Instant,
    window_bytes: u64,
    sent_rate: u64,
    queue_strikes: u8,
    remb_low: Option<(Instant, u64)>,
    /// Transport-wide numbering.
    pub(crate) history: SendHistory,
}

impl Egress {
    pub(crate) fn new(now: Instant, config: &ShardConfig) -> Self {
        Self {
            rate: config.start_bitrate as f64,
            min: config.min_bitrate as f64,
            max: config.max_bitrate as f64,
            cap: None,
            startup: true,
            last_growth: now,
            last_fall: None,
            reported: LossSample::default(),
            acknowledged: LossSample::default(),
            last_feedback: None,
            window_start: now,
            window_bytes: 0,
            sent_rate: 0,
            queue_strikes: 0,
            remb_low: None,
            history: SendHistory::default(),
        }
    }

    /// Bits per second that may be sent.
    pub(crate) fn budget(&self) -> u64 {
        self.cap.map_or(self.rate as u64, |c| c.min(self.rate as u64))
    }

    /// Configured limit.
    pub(crate) fn set_cap(&mut self, cap: Option<u64>) {
        self.cap = cap;
    }

    /// True when a limit keeps what is sent below what the path might carry.
    pub(crate) fn recently_fell(&self, now: Instant) -> bool {
        self.last_fall.is_some_and(|t| now.saturating_duration_since(t) < HOLD)
    }

    /// Notes bytes on the wire.
    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.window_bytes += bytes as u64;
    }

    fn fall(&mut self, now: Instant, to: f64) {
        if self.last_fall.is_some_and(|t| now.saturating_duration_since(t) < HOLD / 2) {
            return;
        }
        self.startup = false;
        self.last_fall = Some(now);
        self.rate = to.min(self.rate).clamp(self.min, self.max);
    }

    fn basis(&self) -> f64 {
        self.rate.min((self.sent_rate.max(MIN_SENT) as f64) * 1.5)
    }

    /// Loss told by a receiver report.
    pub(crate) fn on_loss(&mut self, lost: u64, expected: u64) {
        self.reported.add(lost, expected);
    }

    /// Transport-wide feedback.
    pub(crate) fn on_acknowledged(&mut self, now: Instant, a: &Acknowledged) {
        self.acknowledged.add(a.lost, a.lost + a.received);
        self.last_feedback = Some(now);
        match a.queue_us {
            Some(q) if q > QUEUE_LIMIT_US && self.sent_rate > MIN_SENT => {
                self.queue_strikes = self.queue_strikes.saturating_add(1);
                if self.queue_strikes >= 3 {
                    self.queue_strikes = 0;
                    self.fall(now, self.sent_rate as f64 * BACK_OFF);
                }
            }
            Some(_) => self.queue_strikes = 0,
            None => {}
        }
    }

    /// The receiver's estimate.
    pub(crate) fn on_remb(&mut self, now: Instant, bitrate: u64) {
        if self.sent_rate <= MIN_SENT || (bitrate as f64) >= self.sent_rate as f64 * REMB_SHARE {
            self.remb_low = None;
            return;
        }
        let (since, highest) = self.remb_low.map_or((now, bitrate), |(t, best)| (t, best.max(bitrate)));
        self.remb_low = Some((since, highest));
        if now.saturating_duration_since(since) >= REMB_PATIENCE {
            self.remb_low = None;
            self.fall(now, highest as f64);
        }
    }

    /// Regular step: judges loss, lets the rate rise.
    pub(crate) fn tick(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.window_start);
        if elapsed >= WINDOW {
            let rate = u128::from(self.window_bytes) * 8_000_000 / elapsed.as_micros().max(1);
            self.sent_rate = u64::try_from(rate).unwrap_or(u64::MAX);
            self.window_bytes = 0;
            self.window_start = now;
        }
        let mut calm = true;
        let fresh = self.last_feedback.is_some_and(|t| now.saturating_duration_since(t) < FEEDBACK_FRESH);
        let reported = self.reported.take().filter(|_| !fresh);
        if let Some(loss) = self.acknowledged.take().or(reported) {
            calm = loss < LOSS_LOW;
            if loss > LOSS_HIGH {
                self.fall(now, self.basis() * (1.0 - 0.5 * loss));
            }
        }
        let grown_for =
            now.saturating_duration_since(self.last_growth).min(Duration::from_secs(1)).as_secs_f64();
        self.last_growth = now;
        if calm && !self.recently_fell(now) {
            let growth = if self.startup { STARTUP_GROWTH } else { GROWTH };
            self.rate = (self.rate * growth.powf(grown_for)).min(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(t: Instant, n: u64) -> Instant {
        t + Duration::from_millis(n)
    }

    /// Sends at `rate` for a while; returns the time after it.
    fn send(e: &mut Egress, from: Instant, rate: usize, steps: u64, loss: f64) -> Instant {
        for i in 1..=steps {
            e.on_sent(rate / 8 / 4);
            e.on_loss((100.0 * loss) as u64, 100);
            e.tick(ms(from, i * 250));
        }
        ms(from, steps * 250)
    }

    #[test]
    fn heavy_loss_halves_towards_what_is_sent_and_calm_raises_again() {
        let t = crate::test_clock();
        let mut e = Egress::new(t, &ShardConfig::default());
        let now = send(&mut e, t, 2_000_000, 8, 0.0);
        let calm = e.budget();
        assert!(calm > 5_000_000);
        let now = send(&mut e, now, 2_000_000, 8, 0.3);
        let fallen = e.budget();
        assert!(fallen < 3_000_000, "{fallen}");
        let now = send(&mut e, now, 1_000_000, 8, 0.05);
        assert!(e.budget() <= fallen);
        send(&mut e, now, 1_000_000, 20, 0.0);
        assert!(e.budget() > fallen);
    }

    #[test]
    fn receiver_estimate_limits_only_below_the_sent_rate() {
        let t = crate::test_clock();
        let mut e = Egress::new(t, &ShardConfig::default());
        let now = send(&mut e, t, 2_000_000, 4, 0.0);
        e.on_remb(now, 3_000_000);
        assert!(e.budget() > 3_000_000);
        e.on_remb(now, 300_000);
        assert!(e.budget() > 3_000_000, "the first low estimate may be a slow start");
        e.on_remb(ms(now, 1_000), 600_000);
        e.on_remb(ms(now, 2_000), 700_000);
        assert_eq!(e.budget(), 700_000);
        e.set_cap(Some(300_000));
        assert_eq!(e.budget(), 300_000);
        e.set_cap(None);
        assert_eq!(e.budget(), 700_000);
    }

    /// One loss of 30 % that both kinds of feedback tell: at once, and again in the receiver report two seconds later.
    #[test]
    fn the_same_loss_told_twice_counts_once() {
        let t = crate::test_clock();
        let mut both = Egress::new(t, &ShardConfig::default());
        let mut feedback_only = Egress::new(t, &ShardConfig::default());
        for e in [&mut both, &mut feedback_only] {
            let now = send(e, t, 2_000_000, 8, 0.0);
            let lossy = Acknowledged { received: 70, lost: 30, bytes: 70_000, queue_us: Some(0) };
            e.on_acknowledged(now, &lossy);
            e.tick(ms(now, 250));
        }
        let now = ms(t, 2_250);
        assert_eq!(both.budget(), feedback_only.budget());
        for i in 1..=8 {
            let calm = Acknowledged { received: 100, lost: 0, bytes: 100_000, queue_us: Some(0) };
            for e in [&mut both, &mut feedback_only] {
                e.on_sent(2_000_000 / 8 / 4);
                e.on_acknowledged(ms(now, i * 250), &calm);
                e.tick(ms(now, i * 250));
            }
            if i == 7 {
                both.on_loss(30, 100);
            }
        }
        assert_eq!(both.budget(), feedback_only.budget());
        // Without the other kind the reports count, on their own.
        let now = ms(now, 10_000);
        let before = both.budget();
        send(&mut both, now, 2_000_000, 2, 0.3);
        assert!(both.budget() < before);
    }

    #[test]
    fn a_standing_queue_is_congestion() {
        let t = crate::test_clock();
        let mut e = Egress::new(t, &ShardConfig::default());
        let now = send(&mut e, t, 2_000_000, 4, 0.0);
        let queued = Acknowledged { received: 10, lost: 0, bytes: 10_000, queue_us: Some(300_000) };
        for _ in 0..3 {
            e.on_acknowledged(now, &queued);
        }
        assert!(e.budget() < 2_000_000);
    }
}
