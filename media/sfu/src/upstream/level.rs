//! Loudness of one audio track per interval (RFC 6464 values).

use crate::config::ShardConfig;
use crate::event::AudioLevel;
use crate::ids::UpTrackId;

/// Silence in -dBov.
const SILENCE: u8 = 127;

/// Accumulates levels of one track.
#[derive(Debug)]
pub(crate) struct AudioMeter {
    loudest: u8,
    packets: u32,
    active: u32,
    smoothed: f64,
    reported_silence: bool,
}

impl Default for AudioMeter {
    fn default() -> Self {
        Self { loudest: SILENCE, packets: 0, active: 0, smoothed: 0.0, reported_silence: true }
    }
}

impl AudioMeter {
    /// Notes a packet of `level` -dBov; at `threshold` or louder it is active.
    pub(crate) fn on_packet(&mut self, level: u8, threshold: u8) {
        self.packets += 1;
        if level <= threshold {
            self.active += 1;
            self.loudest = self.loudest.min(level);
        }
    }

    /// Ends an interval. `None` when nothing came and silence was reported already.
    pub(crate) fn take(&mut self, track: UpTrackId, config: &ShardConfig) -> Option<AudioLevel> {
        if self.packets == 0 && self.reported_silence {
            return None;
        }
        self.reported_silence = self.packets == 0;
        let percent = (self.active * 100).checked_div(self.packets).unwrap_or(0).min(100);
        if self.active > 0 && percent >= u32::from(config.active_percent) {
            // Quieter the less of the interval is active.
            let linear = 10f64.powf(-f64::from(self.loudest) / 20.0) * f64::from(percent) / 100.0;
            // The newest interval's share of an exponential average over N.
            let share = 2.0 / (f64::from(config.smooth_intervals.max(1)) + 1.0);
            self.smoothed += (linear - self.smoothed) * share;
        } else {
            self.smoothed = 0.0;
        }
        let level = if self.smoothed <= 0.0 {
            SILENCE
        } else {
            (-20.0 * self.smoothed.log10()).round().clamp(0.0, f64::from(SILENCE)) as u8
        };
        self.loudest = SILENCE;
        self.packets = 0;
        self.active = 0;
        Some(AudioLevel { track, level, active_percent: percent as u8 })
    }

    /// True when there is nothing left to report.
    pub(crate) fn is_idle(&self) -> bool {
        self.packets == 0 && self.reported_silence
    }

    /// Silence from now on (mute); it is still reported once.
    pub(crate) fn silence(&mut self) {
        *self = Self { reported_silence: self.is_idle(), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(meter: &mut AudioMeter) -> Option<AudioLevel> {
        meter.take(UpTrackId(1), &ShardConfig::default())
    }

    #[test]
    fn the_share_of_speech_and_the_average_are_settings() {
        let config = ShardConfig { active_percent: 20, smooth_intervals: 1, ..ShardConfig::default() };
        let mut m = AudioMeter::default();
        let mut level = |config: &ShardConfig| {
            for level in [10, 10, 10, 90, 90, 90, 90, 90, 90, 90] {
                m.on_packet(level, 35);
            }
            m.take(UpTrackId(1), config).unwrap().level
        };
        assert_eq!(level(&ShardConfig::default()), 127);
        // 10 dB, less by the 30 per cent that are speech, at once.
        assert_eq!(level(&config), 20);
        let slow = ShardConfig { active_percent: 20, smooth_intervals: 9, ..ShardConfig::default() };
        m = AudioMeter::default();
        for level in [10; 10] {
            m.on_packet(level, 35);
        }
        assert_eq!(m.take(UpTrackId(1), &slow).unwrap().level, 24, "a fifth of it");
    }

    #[test]
    fn speech_is_loud_and_silence_follows_at_once() {
        let mut m = AudioMeter::default();
        for _ in 0..20 {
            m.on_packet(20, 35);
        }
        let a = take(&mut m).unwrap();
        assert_eq!(a.active_percent, 100);
        assert!((20..=25).contains(&a.level), "{}", a.level);
        for _ in 0..20 {
            m.on_packet(90, 35);
        }
        let b = take(&mut m).unwrap();
        assert_eq!((b.level, b.active_percent), (127, 0));
    }

    #[test]
    fn sounds_that_fill_little_of_an_interval_are_not_speech() {
        let mut m = AudioMeter::default();
        for level in [5, 5, 5, 90, 90, 90, 90, 90, 90, 90] {
            m.on_packet(level, 35);
        }
        assert_eq!(take(&mut m).unwrap().level, 127);
    }

    #[test]
    fn a_stopped_track_is_reported_silent_once() {
        let mut m = AudioMeter::default();
        m.on_packet(10, 35);
        assert!(take(&mut m).is_some());
        assert_eq!(take(&mut m).unwrap().level, 127);
        assert!(m.is_idle());
        assert!(take(&mut m).is_none());
    }
}
