//! The value types a key can have.

use super::node::{Node, Value};
use super::setting::Scalar;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What `config show` prints in place of a secret.
pub const REDACTED: &str = "***redacted***";

/// Text that is never printed, logged or shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// True when unset.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "unset" } else { REDACTED })
    }
}

impl Scalar for Secret {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        self.0.set_node(node)
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        self.0.set_text(text)
    }

    fn show(&self) -> String {
        if self.0.is_empty() { String::new() } else { format!("\"{REDACTED}\"") }
    }

    fn secrets(&self) -> Vec<&str> {
        if self.0.is_empty() { Vec::new() } else { vec![&self.0] }
    }
}

impl Scalar for String {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        match &node.value {
            Value::Text(text) => text.clone_into(self),
            Value::Null => self.clear(),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
                return Err("must be text: put the value in quotes".into());
            }
            other => return Err(format!("must be text, not {}", other.kind())),
        }
        Ok(())
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        text.clone_into(self);
        Ok(())
    }

    fn show(&self) -> String {
        if self.is_empty() { String::new() } else { quote(self) }
    }
}

impl Scalar for PathBuf {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        let mut text = String::new();
        text.set_node(node)?;
        *self = text.into();
        Ok(())
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        *self = text.into();
        Ok(())
    }

    fn show(&self) -> String {
        if self.as_os_str().is_empty() { String::new() } else { quote(&self.to_string_lossy()) }
    }
}

impl Scalar for bool {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        match &node.value {
            Value::Bool(v) => {
                *self = *v;
                Ok(())
            }
            Value::Text(text) => self.set_text(text),
            _ => Err("must be true or false".into()),
        }
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        *self = match text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
            _ => return Err("must be true or false".into()),
        };
        Ok(())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_number {
    ($($ty:ty),*) => {$(
        impl Scalar for $ty {
            fn set_node(&mut self, node: &Node) -> Result<(), String> {
                match &node.value {
                    Value::Int(v) => {
                        *self = <$ty>::try_from(*v).map_err(|_| expected_number(<$ty>::MIN, <$ty>::MAX))?;
                        Ok(())
                    }
                    // Quoted numbers are common in files written by older installers.
                    Value::Text(text) => self.set_text(text),
                    _ => Err(expected_number(<$ty>::MIN, <$ty>::MAX)),
                }
            }

            fn set_text(&mut self, text: &str) -> Result<(), String> {
                *self = text.trim().parse().map_err(|_| expected_number(<$ty>::MIN, <$ty>::MAX))?;
                Ok(())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
whole_number!(u16, u32, u64, i64);

fn expected_number(min: impl fmt::Display, max: impl fmt::Display) -> String {
    format!("must be a whole number from {min} to {max}")
}

impl<T: Scalar + Default> Scalar for Option<T> {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        let unset = match &node.value {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            _ => false,
        };
        if unset {
            *self = None;
            return Ok(());
        }
        let mut value = T::default();
        value.set_node(node)?;
        *self = Some(value);
        Ok(())
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            *self = None;
            return Ok(());
        }
        let mut value = T::default();
        value.set_text(text)?;
        *self = Some(value);
        Ok(())
    }

    fn show(&self) -> String {
        self.as_ref().map(Scalar::show).unwrap_or_default()
    }
}

impl Scalar for Vec<String> {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        match &node.value {
            Value::Null => self.clear(),
            Value::Text(text) => self.set_text(text)?,
            Value::List(items) => {
                let mut list = Self::with_capacity(items.len());
                for item in items {
                    let mut text = String::new();
                    text.set_node(item).map_err(|_| "must be a list of texts".to_owned())?;
                    list.push(text);
                }
                *self = list;
            }
            _ => return Err("must be a list, or text with commas".into()),
        }
        Ok(())
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        *self = text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
        Ok(())
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(|s| quote(s)).collect::<Vec<_>>().join(", "))
    }
}

impl Scalar for BTreeMap<String, String> {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        match &node.value {
            Value::Null => self.clear(),
            Value::Map(entries) => {
                let mut map = Self::new();
                for (key, _, item) in entries {
                    let mut text = String::new();
                    text.set_node(item).map_err(|e| format!("{key}: {e}"))?;
                    map.insert(key.clone(), text);
                }
                *self = map;
            }
            _ => return Err("must be a section of texts".into()),
        }
        Ok(())
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        let node = super::node::parse(text).map_err(|_| "must be lines of `name: text`".to_owned())?;
        self.set_node(&node)
    }

    fn show(&self) -> String {
        let entries: Vec<String> = self.iter().map(|(k, v)| format!("{}: {}", quote(k), quote(v))).collect();
        format!("{{{}}}", entries.join(", "))
    }
}

/// Names with secrets, e.g. API keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretMap(pub BTreeMap<String, Secret>);

impl Scalar for SecretMap {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        let mut plain = BTreeMap::<String, String>::new();
        plain.set_node(node)?;
        self.0 = plain.into_iter().map(|(k, v)| (k, Secret::new(v))).collect();
        Ok(())
    }

    fn set_text(&mut self, text: &str) -> Result<(), String> {
        let mut plain = BTreeMap::<String, String>::new();
        plain.set_text(text).map_err(|_| "must be `key: secret`, one pair a line".to_owned())?;
        self.0 = plain.into_iter().map(|(k, v)| (k, Secret::new(v))).collect();
        Ok(())
    }

    fn show(&self) -> String {
        let entries: Vec<String> = self.0.keys().map(|k| format!("{}: \"{REDACTED}\"", quote(k))).collect();
        format!("{{{}}}", entries.join(", "))
    }

    fn secrets(&self) -> Vec<&str> {
        self.0.values().map(Secret::reveal).collect()
    }
}

/// Anything at all, kept unread: for keys of other programs' files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread;

impl Scalar for Unread {
    fn set_node(&mut self, _: &Node) -> Result<(), String> {
        Ok(())
    }

    fn set_text(&mut self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn show(&self) -> String {
        String::new()
    }
}

/// Declares an enum with fixed spellings; reading ignores case.
macro_rules! choice {
    (
        $(#[doc = $edoc:literal])*
        pub enum $name:ident { $( $(#[doc = $vdoc:literal])* $variant:ident = $text:literal $(| $alias:literal)* ),* $(,)? }
        default $default:ident
    ) => {
        $(#[doc = $edoc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $vdoc])* $variant ),* }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl $name {
            /// The spelling used in the file.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text ),* }
            }
        }

        impl $crate::config::setting::Scalar for $name {
            fn set_node(&mut self, node: &$crate::config::node::Node) -> Result<(), String> {
                match &node.value {
                    $crate::config::node::Value::Text(text) => self.set_text(text),
                    _ => Err(format!("must be one of {}", [$($text),*].join(", "))),
                }
            }

            fn set_text(&mut self, text: &str) -> Result<(), String> {
                *self = match text.trim().to_ascii_lowercase().as_str() {
                    $( $text $(| $alias)* => Self::$variant, )*
                    _ => return Err(format!("must be one of {}", [$($text),*].join(", "))),
                };
                Ok(())
            }

            fn show(&self) -> String {
                self.as_str().to_owned()
            }
        }
    };
}
pub(crate) use choice;

/// A YAML double-quoted scalar, or the plain text when that is unambiguous.
fn quote(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}
