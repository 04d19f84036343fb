//! The rules of the forms.

use crate::domain::{email, names};

/// Shortest and longest password, in bytes.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 12..=128;

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
    /// Under 12 bytes.
    #[error("Password must be at least 12 characters")]
    PasswordTooShort,
    /// Over 128 bytes.
    #[error("Password must be at most 128 characters")]
    PasswordTooLong,
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
pub fn check_password(password: &str) -> Result<(), FormError> {
    if password.len() < *PASSWORD_BYTES.start() {
        Err(FormError::PasswordTooShort)
    } else if password.len() > *PASSWORD_BYTES.end() {
        Err(FormError::PasswordTooLong)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_bytes_after_sanitising() {
        assert_eq!(check_name("<a>"), Err(FormError::NameTooShort));
        assert_eq!(check_name("ä"), Ok("ä".into()));
        assert_eq!(check_name(&"a".repeat(255)), Ok("a".repeat(255)));
        assert_eq!(check_name(&"a".repeat(256)), Err(FormError::NameTooLong));
        assert_eq!(check_password("elevenchars"), Err(FormError::PasswordTooShort));
        assert_eq!(check_password("twelve chars"), Ok(()));
        assert_eq!(check_password(&"x".repeat(129)), Err(FormError::PasswordTooLong));
    }
}
