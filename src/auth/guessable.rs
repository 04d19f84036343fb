//! Passwords that a guesser tries first: common ones, words, names, dates, repeats, rows of the keyboard, the person's
//! own name and address, and what is made of these by counting on or swapping letters.

/// Guesses that a password must withstand: more than three parts out of lists, as `Password123456!`, are good for.
const ENOUGH: u64 = 120_000_000;
/// Characters that are looked at. A longer password is not easier to guess.
const LOOKED_AT: usize = 100;
/// Words of the person's that are looked at.
const MAX_WORDS: usize = 24;

/// True when a guesser who knows `about` (address, names) would find the password soon. Takes a few milliseconds at most.
#[must_use]
pub fn is_guessable(password: &str, about: &[&str]) -> bool {
    let head: String = password.chars().take(LOOKED_AT).collect();
    let words = words(about);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let guesses = zxcvbn::zxcvbn(&head, &words).guesses();
    guesses.saturating_mul(rare_characters(&head)) < ENOUGH
}

/// The estimate takes every character beyond its lists for one of ten. Pictographs are some of a million.
fn rare_characters(password: &str) -> u64 {
    let mut seen: Vec<char> = Vec::new();
    for c in password.chars().filter(|c| !c.is_ascii() && !c.is_alphanumeric()) {
        if !seen.contains(&c) {
            seen.push(c);
        }
    }
    seen.iter().fold(1, |factor: u64, _| factor.saturating_mul(1_000_000))
}

/// The whole texts and their parts.
fn words(about: &[&str]) -> Vec<String> {
    let mut words = vec!["bedrud".to_owned()];
    for text in about {
        let text = text.to_lowercase();
        let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() > 2);
        let joined: String = text.chars().filter(|c| c.is_alphanumeric()).take(64).collect();
        words.extend(parts.map(str::to_owned).chain([joined, text.clone()]));
    }
    words.retain(|word| !word.is_empty() && word.len() <= 256);
    words.truncate(MAX_WORDS);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: [&str; 2] = ["ann.miller@example.org", "Ann Q. Miller"];

    #[test]
    fn what_everybody_tries_first_is_guessable() {
        for password in [
            "aaaaaaaaaaaaaaa",
            "ääääääääääääääää",
            "password1234567",
            "Password123456!",
            "P@ssw0rd123456",
            "passwordpassword",
            "123456789012345",
            "qwertyuiop123456",
            "qwertyuiopasdfgh",
            "abcabcabcabcabc",
            "abcdefghijklmnop",
            "iloveyou12345678",
            "letmeinletmein12",
            "bedrudbedrud",
            "Bedrud123456",
            "annmiller12345",
            "ann.miller@example.org",
            "millermillermiller",
            "            ",
        ] {
            assert!(is_guessable(password, &ABOUT), "{password}");
        }
    }

    #[test]
    fn what_people_make_up_is_not() {
        for password in [
            "correct horse battery",
            "another password of mine",
            "тихий вечер у реки",
            "mittwochs immer fisch",
            "x7Kq-29dL-mmTz",
            "\u{1f600}\u{1f431}\u{1f681}\u{1f33b}\u{1f600}\u{1f431}\u{1f681}\u{1f33b}\u{1f600}\u{1f431}\u{1f681}\u{1f33b}",
        ] {
            assert!(!is_guessable(password, &ABOUT), "{password}");
        }
        assert!(!is_guessable(&"\u{1f600}".repeat(64), &ABOUT));
        assert!(!is_guessable(&"walrus teapot orbit ".repeat(40), &ABOUT));
    }

    #[test]
    fn odd_texts_are_judged_as_well() {
        for password in ["", "\u{0}", "\u{202e}\u{300}\u{300}\u{300}", &"\u{10ffff}".repeat(300)] {
            let _ = is_guessable(password, &["", "@", &"x@".repeat(5000)]);
        }
    }
}
