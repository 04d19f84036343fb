//! Addresses of this host, and which of them clients are told.

use crate::config::node::{Node, Value};
use crate::config::setting::{Scalar, section};

section! {
    /// What is chosen, and what is left out.
    pub struct Pick {
        /// Only these, unless empty.
        includes: Vec<String> = Vec::new(), "includes", env [];
        /// None of these.
        excludes: Vec<String> = Vec::new(), "excludes", env [];
    }
}

/// A list of addresses; also `{ipv4: …, ipv6: …}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses(pub Vec<String>);

impl Scalar for Addresses {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        let Value::Map(entries) = &node.value else { return self.0.set_node(node) };
        self.0.clear();
        for (family, _, value) in entries {
            let mut address = String::new();
            match family.as_str() {
                "ipv4" | "ipv6" | "v4" | "v6" => address.set_node(value)?,
                other => return Err(format!("{other}: must be ipv4 or ipv6")),
            }
            self.0.extend(Some(address).filter(|a| !a.is_empty()));
        }
        Ok(())
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        self.0.set_text(text)
    }

    fn show(&self) -> String {
        self.0.show()
    }
}
