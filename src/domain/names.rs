//! Names of people and of rooms.

use crate::auth::entropy::Entropy;

/// A display name without control characters and without the five characters that matter to HTML.
#[must_use]
pub fn sanitised(name: &str) -> String {
    let kept = |c: &char| !c.is_control() && !matches!(c, '<' | '>' | '&' | '"' | '\'') && !is_invisible(*c);
    name.chars().filter(kept).collect::<String>().trim().to_owned()
}

/// Characters that reorder or hide text around them; a name must not disguise itself with them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What is wrong with a room name. `Display` is the answer's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomNameError {
    /// Under 3 bytes.
    #[error("room name must be at least 3 characters")]
    TooShort,
    /// Over 63 bytes.
    #[error("room name must be at most 63 characters")]
    TooLong,
    /// Something else than groups of letters and digits with single hyphens between.
    #[error("room name must contain only lowercase letters, numbers, and hyphens")]
    Characters,
}

/// A room name as it is looked up: trimmed and in lower case.
#[must_use]
pub fn room_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// A valid room name in its canonical form.
///
/// # Errors
/// The rule that was broken.
pub fn room_name(name: &str) -> Result<String, RoomNameError> {
    let name = room_key(name);
    if name.len() < 3 {
        return Err(RoomNameError::TooShort);
    }
    if name.len() > 63 {
        return Err(RoomNameError::TooLong);
    }
    let group = |group: &str| {
        !group.is_empty() && group.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if name.split('-').all(group) { Ok(name) } else { Err(RoomNameError::Characters) }
}

/// A fresh name of three groups such as `abc-defg-hij`.
#[must_use]
pub fn random_room_name(entropy: &Entropy) -> String {
    let letters = entropy.text(b"abcdefghijklmnopqrstuvwxyz", 10);
    let (first, rest) = letters.split_at(3);
    let (second, third) = rest.split_at(4);
    format!("{first}-{second}-{third}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn room_names_follow_the_rule() {
        assert_eq!(room_name("  My-Room-1 "), Ok("my-room-1".into()));
        assert_eq!(room_name("ab"), Err(RoomNameError::TooShort));
        assert_eq!(room_name(&"a".repeat(63)), Ok("a".repeat(63)));
        assert_eq!(room_name(&"a".repeat(64)), Err(RoomNameError::TooLong));
        for wrong in ["-abc", "abc-", "a--b", "a_b", "a b", "äöü", "a/b", "---", "a.b.c"] {
            assert_eq!(room_name(wrong), Err(RoomNameError::Characters), "{wrong}");
        }
    }

    #[test]
    fn display_names_lose_what_could_hurt() {
        assert_eq!(sanitised(" <b>Ann & \"Bob\"'s</b>\u{7}\u{202e} "), "bAnn  Bobs/b");
        assert_eq!(sanitised("Zoë 李"), "Zoë 李");
    }

    proptest! {
        #[test]
        fn any_accepted_room_name_matches_the_language(name in "\\PC{0,80}") {
            if let Ok(name) = room_name(&name) {
                prop_assert!((3..=63).contains(&name.len()));
                prop_assert!(!name.starts_with('-') && !name.ends_with('-') && !name.contains("--"));
                prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
                prop_assert_eq!(room_name(&name), Ok(name.clone()));
            }
        }

        #[test]
        fn every_word_of_the_language_is_accepted(name in "[a-z0-9]{1,9}(-[a-z0-9]{1,9}){1,5}") {
            prop_assert_eq!(room_name(&name), Ok(name));
        }

        #[test]
        fn generated_names_are_valid(seed in any::<[u8; 32]>()) {
            let name = random_room_name(&Entropy::from_seed(seed));
            prop_assert_eq!(room_name(&name), Ok(name.clone()));
            let groups: Vec<usize> = name.split('-').map(str::len).collect();
            prop_assert_eq!(groups, [3, 4, 3]);
        }

        #[test]
        fn sanitising_twice_changes_nothing(name in any::<String>()) {
            let once = sanitised(&name);
            prop_assert_eq!(sanitised(&once), once.clone());
            prop_assert!(!once.chars().any(|c| c.is_control() || "<>&\"'".contains(c)));
        }
    }
}
