//! A port where the reference server takes a range.

use crate::config::node::{Node, Value};
use crate::config::setting::Scalar;

/// A port, or the first of a range `a-b` or `{start: a, end: b}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstPort(pub Option<u16>);

impl Scalar for FirstPort {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        match &node.value {
            Value::Text(text) => self.set_text(text),
            Value::Map(entries) => {
                let start = entries.iter().find(|(key, ..)| key == "start");
                let Some((_, _, start)) = start else { return Err("start is needed".to_owned()) };
                if let Some((other, ..)) = entries.iter().find(|(key, ..)| key != "start" && key != "end") {
                    return Err(format!("{other}: must be start or end"));
                }
                self.0.set_node(start)
            }
            _ => self.0.set_node(node),
        }
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        self.0.set_text(text.split('-').next().unwrap_or_default().trim())
    }

    fn show(&self) -> String {
        self.0.show()
    }
}
