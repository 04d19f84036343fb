//! The rules of the forms.

use crate::{
    auth::password::{PasswordError, Passwords},
    domain::{email, names},
};

/// Shortest password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// Longest password, in bytes. It is looked at before anything is hashed.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// A rule that was broken. `Display` is the answer's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Not an address.
    #[error("Invalid email format")]
    Email,
    /// Under 2 bytes.
    #[error("Name must be at least 2 characters")]
    NameTooShort,
    /// Over 255 bytes.
    #[error("Name must be at most 255 characters")]
    NameTooLong,
    /// Under 12 characters.
    #[error("Password must be at least 12 characters")]
    PasswordTooShort,
    /// Over 1 KiB.
    #[error("Password must be at most 1024 bytes")]
    PasswordTooLong,
    /// Among the first that anybody would try.
    #[error("This password is too easy to guess, please choose another one")]
    PasswordCommon,
}

/// The canonical address.
pub(super) fn check_email(text: &str) -> Result<String, FormError> {
    email::canonical(text).ok_or(FormError::Email)
}

/// The sanitised name of an account.
pub(super) fn check_name(text: &str) -> Result<String, FormError> {
    let name = names::sanitised(text);
    match name.len() {
        0..=1 => Err(FormError::NameTooShort),
        2..=255 => Ok(name),
        _ => Err(FormError::NameTooLong),
    }
}

/// Length of a password. Composition rules are not imposed: they make passwords worse.
///
/// # Errors
/// Too short or too long.
pub fn check_length(password: &str) -> Result<(), FormError> {
    if password.len() > MAX_PASSWORD_BYTES {
        Err(FormError::PasswordTooLong)
    } else if password.chars().count() < MIN_PASSWORD_CHARS {
        Err(FormError::PasswordTooShort)
    } else {
        Ok(())
    }
}

/// All rules of a password: its length, and that nobody would guess it who knows `about` (address and name).
///
/// # Errors
/// The outer result is a failure of ours, the inner one the rule that was broken.
pub(crate) async fn check_password(
    passwords: &Passwords,
    password: &str,
    about: &[&str],
) -> Result<Result<(), FormError>, PasswordError> {
    if let Err(error) = check_length(password) {
        return Ok(Err(error));
    }
    let about = about.iter().map(|text| (*text).to_owned()).collect();
    let guessable = passwords.is_guessable(password.to_owned(), about).await?;
    Ok(if guessable { Err(FormError::PasswordCommon) } else { Ok(()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bytes_after_sanitising() {
        assert_eq!(check_name("<a>"), Err(FormError::NameTooShort));
        assert_eq!(check_name("ä"), Ok("ä".into()));
        assert_eq!(check_name(&"a".repeat(255)), Ok("a".repeat(255)));
        assert_eq!(check_name(&"a".repeat(256)), Err(FormError::NameTooLong));
    }

    #[test]
    fn passwords_are_counted_in_characters_and_bounded_in_bytes() {
        assert_eq!(check_length("elevenchars"), Err(FormError::PasswordTooShort));
        assert_eq!(check_length("twelve chars"), Ok(()));
        assert_eq!(check_length(&"ä".repeat(11)), Err(FormError::PasswordTooShort));
        assert_eq!(check_length(&"\u{1f600}".repeat(11)), Err(FormError::PasswordTooShort));
        assert_eq!(check_length(&"\u{1f600}".repeat(256)), Ok(()));
        assert_eq!(check_length(&"\u{1f600}".repeat(257)), Err(FormError::PasswordTooLong));
        assert_eq!(check_length(&"x".repeat(10 * 1024)), Err(FormError::PasswordTooLong));
    }
}
