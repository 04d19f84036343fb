//! The example file and `config show`, written from the declaration itself.

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
    write_example(&mut Config::default(), 0, &mut out);
    out
}

fn write_example(section: &mut dyn Section, depth: usize, out: &mut String) {
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
        if !meta.env.is_empty() {
            comment(&format!("Environment: {}", meta.env.join(", ")));
        }
        if meta.inert {
            comment("Accepted, without effect in this version.");
        }
        match slot {
            Slot::Section(inner) => {
                let _ = writeln!(out, "{pad}{}:", meta.key);
                write_example(inner, depth + 1, out);
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
