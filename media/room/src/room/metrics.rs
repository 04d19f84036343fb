//! Metrics of clients, brought to the server's clock.

use livekit_protocol::MetricsBatch;

/// How far a client's clock is behind ours, its packets' way included.
#[derive(Debug, Default)]
pub(crate) struct ClientClock {
    offset_ms: Option<i64>,
}

/// A smaller offset is the better estimate of the way; a larger one counts only this much, as clocks drift.
const DRIFT: i64 = 16;

impl ClientClock {
    /// Completes a batch that arrives now.
    pub(crate) fn normalise(&mut self, now_ms: u64, batch: &mut MetricsBatch) {
        if batch.timestamp_ms > 0 {
            let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
            let seen = now.saturating_sub(batch.timestamp_ms);
            self.offset_ms = Some(match self.offset_ms {
                Some(known) if seen > known => known.saturating_add(seen.saturating_sub(known) / DRIFT),
                _ => seen,
            });
        }
        let offset = self.offset_ms.unwrap_or(0);
        // The type of a timestamp has no name here; its two fields do.
        macro_rules! stamp {
            ($field:expr, $ms:expr) => {{
                let ms = $ms.saturating_add(offset);
                let mut at = $field.take().unwrap_or_default();
                at.seconds = ms.div_euclid(1000);
                at.nanos = i32::try_from(ms.rem_euclid(1000)).unwrap_or(0).saturating_mul(1_000_000);
                $field = Some(at);
            }};
        }
        stamp!(batch.normalized_timestamp, batch.timestamp_ms);
        for sample in batch.time_series.iter_mut().flat_map(|s| &mut s.samples) {
            stamp!(sample.normalized_timestamp, sample.timestamp_ms);
        }
        for event in &mut batch.events {
            stamp!(event.normalized_start_timestamp, event.start_timestamp_ms);
            if let Some(end) = event.end_timestamp_ms.filter(|ms| *ms != 0) {
                stamp!(event.normalized_end_timestamp, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(clock: &mut ClientClock, now_ms: u64, timestamp_ms: i64) -> (i64, i32) {
        let mut batch = MetricsBatch { timestamp_ms, ..MetricsBatch::default() };
        clock.normalise(now_ms, &mut batch);
        let at = batch.normalized_timestamp.expect("set");
        (at.seconds, at.nanos)
    }

    #[test]
    fn a_wrong_client_clock_is_brought_to_ours() {
        let mut clock = ClientClock::default();
        assert_eq!(normalised(&mut clock, 1_000_000, 400), (1000, 0));
        assert_eq!(normalised(&mut clock, 1_000_500, 900), (1000, 500_000_000));
        // A packet that was held up does not shift the clock by its delay.
        let (seconds, nanos) = normalised(&mut clock, 1_002_600, 1_400);
        assert_eq!((seconds, nanos / 1_000_000), (1001, 100));
    }

    #[test]
    fn absurd_times_do_no_harm() {
        let mut clock = ClientClock::default();
        for ms in [i64::MIN, i64::MAX, 0, -1] {
            normalised(&mut clock, u64::MAX, ms);
        }
    }
}
