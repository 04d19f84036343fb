//! Defaults, then the file, then the environment, then flags; every complaint is collected, not only the first.

use super::node::{self, Node, Value};
use super::problem::{Problem, Problems, Source};
use super::setting::{Meta, Section, Slot};
use std::collections::BTreeMap;

/// Where values may come from.
pub struct Sources<'a> {
    /// Name and text of the file.
    pub file: Option<(&'a str, &'a str)>,
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// When set, `PREFIX_` and the path in capitals also name a variable, e.g. `LIVEKIT_RTC_TCP_PORT`.
    pub env_prefix: Option<&'a str>,
    /// Flags: name as typed, key path, value.
    pub flags: &'a [(&'a str, String, String)],
}

/// A tree that was read, and where each value that is not a default came from.
#[derive(Debug)]
pub struct Loaded<C> {
    /// The values.
    pub config: C,
    /// Source by key path.
    pub origins: BTreeMap<String, Source>,
    /// Keys set to something although nothing reads them.
    pub inert: Vec<String>,
}

/// Reads a tree from all sources.
///
/// # Errors
/// Everything that is wrong in any source.
pub fn read<C: Section + Default>(sources: &Sources<'_>) -> Result<Loaded<C>, Problems> {
    let mut reader = Reader { file: "", problems: Vec::new(), origins: BTreeMap::new(), inert: Vec::new() };
    let mut config = C::default();
    if let Some((name, text)) = sources.file {
        reader.file = name;
        match node::parse(text) {
            Ok(root) => reader.section(&mut config, &root, ""),
            Err((line, message)) => {
                reader.complain(line, String::new(), message, Some("the file must be YAML".into()));
            }
        }
    }
    for problem in reader.problems.iter_mut().filter(|p| p.unknown) {
        problem.hint = hint_for_unknown(&mut config, &problem.key);
    }
    reader.environment(&mut config, sources, "");
    for (flag, path, text) in sources.flags {
        reader.flag(&mut config, flag, path, text);
    }
    if reader.problems.is_empty() {
        Ok(Loaded { config, origins: reader.origins, inert: reader.inert })
    } else {
        Err(Problems(reader.problems))
    }
}

struct Reader<'a> {
    file: &'a str,
    problems: Vec<Problem>,
    origins: BTreeMap<String, Source>,
    inert: Vec<String>,
}

/// The environment variable of a key that has none of its own.
pub(super) fn derived_variable(prefix: &str, path: &str) -> String {
    format!("{prefix}_{}", path.replace('.', "_").to_ascii_uppercase())
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl Reader<'_> {
    fn complain(&mut self, line: u64, key: String, message: String, hint: Option<String>) {
        let source = Source::File { name: self.file.to_owned(), line };
        self.problems.push(Problem { source, key, message, hint, unknown: false });
    }

    fn set(&mut self, source: Source, path: String, meta: &Meta) {
        if meta.inert && !self.inert.contains(&path) {
            self.inert.push(path.clone());
        }
        self.origins.insert(path, source);
    }

    fn section(&mut self, section: &mut dyn Section, node: &Node, path: &str) {
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => return,
            other => {
                let message = format!("must be a section of keys, not {}", other.kind());
                self.complain(node.line, path.to_owned(), message, None);
                return;
            }
        };
        let mut fields = section.fields();
        for (key, line, value) in entries {
            let at = join(path, key);
            let source = Source::File { name: self.file.to_owned(), line: *line };
            match fields.iter_mut().find(|(meta, _)| meta.key == key) {
                None => self.problems.push(Problem {
                    source,
                    key: at,
                    message: "unknown key".into(),
                    hint: None,
                    unknown: true,
                }),
                Some((_, Slot::Section(inner))) => self.section(*inner, value, &at),
                Some((meta, Slot::Leaf(leaf))) => match leaf.set_node(value) {
                    Ok(()) => self.set(source, at, meta),
                    Err(message) => self.complain(*line, at, message, None),
                },
            }
        }
    }

    fn environment(&mut self, section: &mut dyn Section, sources: &Sources<'_>, path: &str) {
        for (meta, slot) in section.fields() {
            let at = join(path, meta.key);
            let leaf = match slot {
                Slot::Section(inner) => {
                    self.environment(inner, sources, &at);
                    continue;
                }
                Slot::Leaf(leaf) => leaf,
            };
            let derived = sources.env_prefix.map(|prefix| derived_variable(prefix, &at));
            let names = meta.env.iter().map(|n| (*n).to_owned()).chain(derived);
            let found = names
                .into_iter()
                .find_map(|name| (sources.env)(&name).filter(|v| !v.is_empty()).map(|value| (name, value)));
            let Some((name, value)) = found else { continue };
            let source = Source::Env(name);
            match leaf.set_text(&value) {
                Ok(()) => self.set(source, at, &meta),
                Err(message) => {
                    self.problems.push(Problem { source, key: at, message, hint: None, unknown: false });
                }
            }
        }
    }

    fn flag(&mut self, config: &mut dyn Section, flag: &str, path: &str, text: &str) {
        let source = Source::Flag(flag.to_owned());
        let (key, message, hint) = match set_path(config, path, text) {
            Some((meta, Ok(()))) => return self.set(source, path.to_owned(), &meta),
            Some((_, Err(message))) => (path.to_owned(), message, None),
            None => (path.to_owned(), "unknown key".to_owned(), hint_for_unknown(config, path)),
        };
        self.problems.push(Problem { source, key, message, hint, unknown: false });
    }
}

fn set_path(section: &mut dyn Section, path: &str, text: &str) -> Option<(Meta, Result<(), String>)> {
    let (head, rest) = path.split_once('.').map_or((path, None), |(h, r)| (h, Some(r)));
    let (meta, slot) = section.fields().into_iter().find(|(meta, _)| meta.key == head)?;
    match (slot, rest) {
        (Slot::Section(inner), Some(rest)) => set_path(inner, rest, text),
        (Slot::Leaf(leaf), None) => Some((meta, leaf.set_text(text))),
        _ => None,
    }
}

/// All key paths that hold a value.
pub fn paths(section: &mut dyn Section) -> Vec<String> {
    let mut out = Vec::new();
    collect(section, "", &mut out);
    out
}

fn collect(section: &mut dyn Section, path: &str, out: &mut Vec<String>) {
    for (meta, slot) in section.fields() {
        let at = join(path, meta.key);
        match slot {
            Slot::Section(inner) => {
                out.push(at.clone());
                collect(inner, &at, out);
            }
            Slot::Leaf(_) => out.push(at),
        }
    }
}

/// The nearest key there is: same section first, then the same name elsewhere.
fn hint_for_unknown(config: &mut dyn Section, path: &str) -> Option<String> {
    let all = paths(config);
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let siblings: Vec<&str> = all
        .iter()
        .filter_map(|p| {
            let (up, last) = p.rsplit_once('.').unwrap_or(("", p));
            (up == parent).then_some(last)
        })
        .collect();
    if let Some(same) = siblings.iter().find(|s| s.eq_ignore_ascii_case(key)) {
        return Some(format!("keys are case sensitive: write `{same}`"));
    }
    let near = siblings
        .iter()
        .map(|s| (strsim::damerau_levenshtein(&s.to_ascii_lowercase(), &key.to_ascii_lowercase()), s))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, s)| *distance <= 2.max(s.len() / 4));
    if let Some((_, near)) = near {
        return Some(format!("did you mean `{}`?", join(parent, near)));
    }
    let elsewhere =
        all.iter().find(|p| p.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(key)));
    if let Some(elsewhere) = elsewhere {
        return Some(format!("did you mean `{elsewhere}`?"));
    }
    if siblings.is_empty() {
        return None;
    }
    Some(format!("known keys here: {}", siblings.join(", ")))
}
