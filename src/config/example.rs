//! The example file and `config show`, written from the declaration itself.

use super::load::{derived_variable, join};
use super::problem::Source;
use super::sections::Config;
use super::setting::{Section, Slot};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Widest comment line, characters.
const WIDTH: usize = 100;

/// The example file: every key, commented out, with its default.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(
        "# Bedrud configuration. Every key is optional; the values shown are the defaults.\n\
         # Order: defaults, this file, environment variables, command line flags.\n\
         # Check a file with: bedrud config check --config FILE\n",
    );
    write_example(&mut Config::default(), None, "", 0, &mut out);
    out
}

/// Every key of a section with its default, as [`example`] shows them. With a prefix each key has an environment
/// variable of its own.
pub fn keys(section: &mut dyn Section, env_prefix: Option<&str>) -> String {
    let mut out = String::new();
    write_example(section, env_prefix, "", 0, &mut out);
    out
}

fn write_example(
    section: &mut dyn Section,
    env_prefix: Option<&str>,
    path: &str,
    depth: usize,
    out: &mut String,
) {
    let pad = "  ".repeat(depth);
    for (meta, slot) in section.fields() {
        if depth == 0 {
            out.push('\n');
        }
        let mut comment = |text: &str| {
            for line in wrap(text, WIDTH - pad.len() - 2) {
                let _ = writeln!(out, "{pad}# {line}");
            }
        };
        for doc in meta.docs {
            comment(doc.trim());
        }
        let at = join(path, meta.key);
        let derived = match &slot {
            Slot::Leaf(_) => env_prefix.map(|prefix| derived_variable(prefix, &at)),
            Slot::Section(_) => None,
        };
        let variables: Vec<String> = meta.env.iter().map(|n| (*n).to_owned()).chain(derived).collect();
        if !variables.is_empty() {
            comment(&format!("Environment: {}", variables.join(", ")));
        }
        if meta.inert {
            comment("Accepted, without effect in this version.");
        }
        match slot {
            Slot::Section(inner) => {
                let _ = writeln!(out, "{pad}{}:", meta.key);
                write_example(inner, env_prefix, &at, depth + 1, out);
            }
            Slot::Leaf(leaf) => {
                let _ = writeln!(out, "{}", format!("{pad}#{}: {}", meta.key, leaf.show()).trim_end());
            }
        }
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(last) = lines.last_mut() else { break };
        if !last.is_empty() && last.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// The effective values as YAML, secrets redacted, each value that is not a default with its source.
pub fn show(section: &mut dyn Section, origins: &BTreeMap<String, Source>) -> String {
    let mut out = String::new();
    write_values(section, "", 0, origins, &mut out);
    out
}

fn write_values(
    section: &mut dyn Section,
    path: &str,
    depth: usize,
    origins: &BTreeMap<String, Source>,
    out: &mut String,
) {
    let pad = "  ".repeat(depth);
    for (meta, slot) in section.fields() {
        let at = if path.is_empty() { meta.key.to_owned() } else { format!("{path}.{}", meta.key) };
        match slot {
            Slot::Section(inner) => {
                let _ = writeln!(out, "{pad}{}:", meta.key);
                write_values(inner, &at, depth + 1, origins, out);
            }
            Slot::Leaf(leaf) => {
                let mut line = format!("{pad}{}: {}", meta.key, leaf.show());
                if let Some(origin) = origins.get(&at) {
                    let _ = write!(line, "  # {origin}");
                }
                let _ = writeln!(out, "{}", line.trim_end());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_keeps_all_words() {
        let text = "one two three four five six";
        let lines = wrap(text, 10);
        assert!(lines.iter().all(|l| l.len() <= 10), "{lines:?}");
        assert_eq!(lines.join(" "), text);
    }
}
