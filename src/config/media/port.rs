//! A port where the reference server takes a range.

use crate::config::node::{Node, Value};
use crate::config::setting::Scalar;

/// A port, or the first of a range `a-b`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstPort(pub Option<u16>);

impl Scalar for FirstPort {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        match &node.value {
            Value::Text(text) => self.set_text(text),
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
