//! `webhook` of LiveKit's configuration.

use super::node::{Node, Value};
use super::setting::{Scalar, section};
use super::value::Unread;
use std::time::Duration;

section! {
    /// Receivers of events, and how they are told.
    pub struct Webhook {
        /// Addresses that events are posted to.
        urls: Vec<String> = Vec::new(), "urls", env [];
        /// API key that signs; it must be one of `keys`.
        api_key: String = String::new(), "api_key", env [];
        /// How many at once.
        url_notifier: UrlNotifier = UrlNotifier::default(), "url_notifier", env [];
        /// How many wait, and how long.
        resource_url_notifier: ResourceUrlNotifier = ResourceUrlNotifier::default(), "resource_url_notifier", env [];
        /// Which events.
        filter_params: FilterParams = FilterParams::default(), "filter_params", env [];
    }
}

section! {
    /// How many at once.
    pub struct UrlNotifier {
        /// Rooms whose events are posted at the same time, per address.
        num_workers: u32 = 10, "num_workers", env [];
        /// Read over.
        queue_size: Unread = Unread, "queue_size", env [], inert;
    }
}

section! {
    /// How many events wait, and how long.
    pub struct ResourceUrlNotifier {
        /// An event older than this is given up when it fails once more. Default: 24h.
        max_age: Span = Span::default(), "max_age", env [];
        /// Events of one room that wait for one address; the next ones are dropped.
        max_depth: u32 = 200, "max_depth", env [];
    }
}

section! {
    /// Which events are sent.
    pub struct FilterParams {
        /// Only these, unless empty.
        include_events: Vec<String> = Vec::new(), "include_events", env [];
        /// All but these.
        exclude_events: Vec<String> = Vec::new(), "exclude_events", env [];
    }
}

/// A duration as Go writes it: `30s`, `1h30m`, `500ms`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span(pub Option<Duration>);

const EXPECTED: &str = "must be a duration, e.g. 30s, 5m or 1h30m";

impl Scalar for Span {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        match &node.value {
            Value::Null => self.0 = None,
            Value::Text(text) => return self.set_text(text),
            _ => return Err(EXPECTED.into()),
        }
        Ok(())
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        self.0 = Some(parse(text.trim()).ok_or(EXPECTED)?);
        Ok(())
    }

    fn show(&self) -> String {
        self.0.map(|d| format!("{}s", d.as_secs_f64())).unwrap_or_default()
    }
}

fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let seconds = |text| parse(text).map(|d| d.as_secs_f64());
        assert_eq!(seconds("30s"), Some(30.0));
        assert_eq!(seconds("1h30m"), Some(5400.0));
        assert_eq!(seconds("1.5m"), Some(90.0));
        assert_eq!(seconds("500ms"), Some(0.5));
        for bad in ["", "30", "s", "5 m", "1d", "-1s", "1..2s", "99999999999999999999h"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
