//! Global access levels.

/// Level that opens the administration.
pub const SUPERADMIN: &str = "superadmin";
/// Level of those who moderate, in one room or everywhere.
pub const MODERATOR: &str = "moderator";
/// Level of an ordinary account.
pub const USER: &str = "user";
/// Level of a guest.
pub const GUEST: &str = "guest";
/// `provider` of a guest.
pub const GUEST_PROVIDER: &str = "guest";
/// `provider` of an account with a password.
pub const LOCAL_PROVIDER: &str = "local";

/// Weight of a level; levels without any weigh nothing.
#[must_use]
pub fn weight(level: &str) -> u8 {
    match level {
        "superadmin" => 4,
        "admin" => 3,
        "moderator" => 2,
        "user" => 1,
        _ => 0,
    }
}

/// True when one of the levels weighs at least as much as `wanted`.
#[must_use]
pub fn at_least<S: AsRef<str>>(levels: &[S], wanted: &str) -> bool {
    let needed = weight(wanted);
    needed > 0 && levels.iter().any(|level| weight(level.as_ref()) >= needed)
}

#[cfg(test)]
mod tests {
    use super::at_least;

    #[test]
    fn higher_levels_include_lower_ones() {
        assert!(at_least(&["user", "superadmin"], "superadmin"));
        assert!(at_least(&["superadmin"], "user"));
        assert!(!at_least(&["admin"], "superadmin"));
        assert!(!at_least(&["guest"], "user"));
        assert!(!at_least::<&str>(&[], "user"));
        assert!(!at_least(&["superadmin"], "guest"), "a level without weight opens nothing");
    }
}
