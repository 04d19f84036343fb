//! The text format that Prometheus reads.

use std::fmt::{Display, Write as _};

use bedrud_media::Snapshot;

/// An answer being written.
#[derive(Debug, Default)]
pub struct Text {
    out: String,
    /// Labels of all series that carry the reference server's names.
    node: Vec<(&'static str, String)>,
}

/// What the values of a family do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They rise until a restart.
    Counter,
    /// They go up and down.
    Gauge,
    /// They are counted by upper bounds.
    Histogram,
}

impl Text {
    /// Series with LiveKit's names say which node they are of, as there; without an id they do not.
    #[must_use]
    pub fn of_node(id: &str) -> Self {
        let node = match id {
            "" => Vec::new(),
            id => vec![("node_id", id.to_owned()), ("node_type", "SERVER".to_owned())],
        };
        Self { node, ..Self::default() }
    }

    /// Begins a family. Its samples follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.out.push_str(name);
        let node = if name.starts_with("livekit_") { self.node.as_slice() } else { &[] };
        let node = node.iter().map(|(label, text)| (*label, text.as_str()));
        let mut open = '{';
        for (label, text) in labels.iter().copied().chain(node) {
            let _ = write!(self.out, "{open}{label}=\"");
            open = ',';
            for c in text.chars() {
                match c {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    c => self.out.push(c),
                }
            }
            self.out.push('"');
        }
        if open == ',' {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The samples of a histogram, after its family.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], values: &Snapshot) {
        let bucket = format!("{name}_bucket");
        let bounds = values.buckets.iter().map(|(bound, count)| (bound.to_string(), *count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), values.count)]) {
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.sample(&bucket, &labels, count);
        }
        self.sample(&format!("{name}_sum"), labels, values.sum);
        self.sample(&format!("{name}_count"), labels, values.count);
    }

    /// The answer.
    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }
}
