//! Secrets that are none: those of examples, and those that everybody on the machine can read.

use super::load::{Loaded, join};
use super::problem::{Problem, Source};
use super::setting::{Section, Slot};
use anyhow::Context as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Parts of what examples and guides write where a secret should stand, without case and punctuation.
const SAMPLE_PARTS: [&str; 20] = [
    "changeme",
    "changethis",
    "changeit",
    "replaceme",
    "replacethis",
    "replacewith",
    "yoursecret",
    "yourjwt",
    "yoursession",
    "yourapi",
    "yourlivekit",
    "yourown",
    "yoursuper",
    "supersecret",
    "mysecret",
    "secrethere",
    "samplesecret",
    "examplesecret",
    "placeholder",
    "insecure",
];
/// How they begin.
const SAMPLE_STARTS: [&str; 5] = ["your-", "replace-", "example-", "xxx", "todo"];
/// Whole ones: LiveKit's examples and development mode.
const SAMPLES: [&str; 6] = ["secret", "secret1", "secret2", "devkey", "devsecret", "password"];
/// A secret of fewer different characters was typed, not drawn.
const MIN_DIFFERENT: usize = 5;
/// Rights of everybody else: any of them is too much for a file with secrets.
const OTHERS: u32 = 0o007;

/// True for a secret out of an example: everybody knows it.
#[must_use]
pub fn is_sample(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    let letters: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    SAMPLES.contains(&lower.as_str())
        || SAMPLE_STARTS.iter().any(|start| lower.starts_with(start))
        || SAMPLE_PARTS.iter().any(|part| letters.contains(part))
        || different.len() < MIN_DIFFERENT
}

/// True when others than owner and group may read or change the file.
///
/// # Errors
/// As the file system says.
pub fn is_open_to_all(path: &Path) -> std::io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & OTHERS != 0)
}

/// Takes the rights of others away from a file with secrets, and says so. A file that does not exist is fine.
///
/// # Errors
/// When the rights cannot be changed; the message says what to do.
pub fn close_to_others(path: &Path) -> anyhow::Result<bool> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(false) };
    let mode = metadata.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777 & !OTHERS)).with_context(|| {
        format!("{0} holds secrets and is open to everybody on this machine (chmod o= {0})", path.display())
    })?;
    tracing::warn!(file = %path.display(), "this file with secrets was open to everybody on this machine; closed");
    Ok(true)
}

/// A complaint for the first secret that stands in a file open to everybody.
pub(super) fn check_file<C: Section>(path: &Path, loaded: &mut Loaded<C>) -> Option<Problem> {
    if !is_open_to_all(path).unwrap_or(false) {
        return None;
    }
    let mut keys = Vec::new();
    collect(&mut loaded.config, "", &mut keys);
    let from_file = |key: &String| matches!(loaded.origins.get(key), Some(Source::File { .. }));
    let key = keys.into_iter().find(from_file)?;
    Some(Problem {
        source: loaded.origins.get(&key)?.clone(),
        message: "is a secret, and everybody on this machine can open the file".into(),
        hint: Some(format!("chmod o= {}", path.display())),
        key,
        unknown: false,
    })
}

/// True when a file set any secret.
pub fn has_secrets_of_file<C: Section>(loaded: &mut Loaded<C>) -> bool {
    let mut keys = Vec::new();
    collect(&mut loaded.config, "", &mut keys);
    keys.iter().any(|key| matches!(loaded.origins.get(key), Some(Source::File { .. })))
}

/// Paths of all keys that hold a secret.
fn collect(section: &mut dyn Section, path: &str, keys: &mut Vec<String>) {
    for (meta, slot) in section.fields() {
        let at = join(path, meta.key);
        match slot {
            Slot::Section(inner) => collect(inner, &at, keys),
            Slot::Leaf(leaf) if !leaf.secrets().is_empty() => keys.push(at),
            Slot::Leaf(_) => {}
        }
    }
}

/// Paths of the keys whose values differ.
pub fn changed<C: Section>(one: &mut C, other: &mut C) -> Vec<String> {
    let values = |config: &mut C| {
        let mut out = Vec::new();
        flatten(config, "", &mut out);
        out
    };
    let pairs = values(one).into_iter().zip(values(other));
    pairs.filter(|(a, b)| a != b).map(|((path, _), _)| path).collect()
}

fn flatten(section: &mut dyn Section, path: &str, out: &mut Vec<(String, String)>) {
    for (meta, slot) in section.fields() {
        let at = join(path, meta.key);
        match slot {
            Slot::Section(inner) => flatten(inner, &at, out),
            Slot::Leaf(leaf) => out.push((at, format!("{}\n{}", leaf.show(), leaf.secrets().join("\n")))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_examples_are_known_and_drawn_ones_are_not() {
        for sample in [
            "secret",
            "your-jwt-secret-key-here-at-least-32-chars",
            "change-me-change-me-change-me-change-me",
            "CHANGE_ME_to_a_random_string_of_32_chars",
            "replace-this-session-secret-with-your-own",
            "a-super-secret-string-of-some-length-1",
            "dev-only-insecure-secret-0123456789abcd",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "11111111111111111111111111111111",
        ] {
            assert!(is_sample(sample), "{sample}");
        }
        for drawn in ["0123456789abcdef0123456789abcdef", "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4", "a4f1c0de99b2"]
        {
            assert!(!is_sample(drawn), "{drawn}");
        }
    }

    #[test]
    fn files_are_closed_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets");
        assert!(!close_to_others(&path).unwrap());
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).unwrap();
        assert!(is_open_to_all(&path).unwrap());
        assert!(close_to_others(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(!close_to_others(&path).unwrap());
    }

    #[test]
    fn changed_keys_are_named_without_their_values() {
        use crate::config::{Config, Secret};
        let (mut one, mut other) = (Config::default(), Config::default());
        assert!(changed(&mut one, &mut other).is_empty());
        other.auth.jwt_secret = Secret::new("a");
        other.server.port = Some(1);
        assert_eq!(changed(&mut one, &mut other), ["server.port", "auth.jwtSecret"]);
        one.auth.jwt_secret = Secret::new("b");
        assert_eq!(changed(&mut one, &mut other), ["server.port", "auth.jwtSecret"]);
    }
}
