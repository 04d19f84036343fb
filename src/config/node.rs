//! YAML as a tree that remembers lines, so that every complaint can name one.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// Largest file accepted, bytes.
pub const MAX_FILE_LEN: usize = 1024 * 1024;

/// A value and its line (1-based; 0 when unknown).
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Line in the file.
    pub line: u64,
    /// What is there.
    pub value: Value,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text, quoted or plain.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys in file order, with the line of each key.
    Map(Vec<(String, u64, Node)>),
}

impl Value {
    /// The kind of value for messages, e.g. `a list`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a section",
        }
    }
}

struct Raw(Value);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor).map(Self)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Raw::deserialize(deserializer).map(|raw| raw.0)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Int(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Int(v.into()))
    }

    fn visit_i128<E>(self, v: i128) -> Result<Value, E> {
        Ok(Value::Int(v))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Float(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Text(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Raw>>()? {
            items.push(Node { line: item.referenced.line(), value: item.value.0 });
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, item)) = map.next_entry::<Spanned<String>, Spanned<Raw>>()? {
            let line = key.referenced.line();
            entries.push((key.value, line, Node { line: item.referenced.line(), value: item.value.0 }));
        }
        Ok(Value::Map(entries))
    }
}

/// Parses YAML text. An empty document is an empty map.
///
/// # Errors
/// The line (0 when unknown) and what is wrong there.
pub fn parse(text: &str) -> Result<Node, (u64, String)> {
    if text.len() > MAX_FILE_LEN {
        return Err((0, format!("the file is larger than {MAX_FILE_LEN} bytes")));
    }
    if text.lines().all(|l| l.trim_start().is_empty() || l.trim_start().starts_with('#')) {
        return Ok(Node { line: 1, value: Value::Map(Vec::new()) });
    }
    // A file of commented-out keys, as the example is, has more comments in a row than the parser would keep.
    let options = serde_saphyr::options! { emit_comments: false };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(root) => Ok(Node { line: root.referenced.line(), value: root.value.0 }),
        Err(e) => {
            let line = e.location().map_or(0, |l| l.line());
            let text = e.without_snippet().to_string();
            Err((line, text.lines().next().unwrap_or_default().to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_keys_and_values_are_kept() {
        let root = parse("a:\n  b: 1\n  c: [x, 'y']\nd:\n").unwrap();
        let Value::Map(top) = root.value else { panic!("map") };
        assert_eq!((top[0].0.as_str(), top[0].1), ("a", 1));
        let Value::Map(inner) = &top[0].2.value else { panic!("map") };
        assert_eq!(inner[0], ("b".into(), 2, Node { line: 2, value: Value::Int(1) }));
        let Value::List(list) = &inner[1].2.value else { panic!("list") };
        assert_eq!(list[1], Node { line: 3, value: Value::Text("y".into()) });
        assert_eq!(top[1].2.value, Value::Null);
    }

    #[test]
    fn broken_yaml_names_the_line() {
        let (line, text) = parse("a: 1\nb: [1, 2\n").unwrap_err();
        assert!(line >= 2, "{line} {text}");
        let (line, _) = parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(line, 2);
    }

    #[test]
    fn any_number_of_comments_may_stand_before_a_key() {
        let text = format!("a:\n{}  b: 1\n", "  # comment\n".repeat(5000));
        assert!(matches!(parse(&text).unwrap().value, Value::Map(_)));
    }

    #[test]
    fn comments_alone_are_an_empty_map() {
        assert_eq!(parse("# nothing\n\n").unwrap().value, Value::Map(vec![]));
    }
}
