//! The journal: what people do, one line each at INFO, in a form that other programs may rely on (docs/journal.md).
//!
//! Every line has the target `bedrud::journal` and a fixed text; its fields have a fixed order, the address first.
//! Nothing secret, no mail addresses. What a peer can choose stands in quotes and escaped, so that nobody can write lines
//! of their own.

use std::fmt;
use std::net::IpAddr;

/// Target of every line.
pub const TARGET: &str = "bedrud::journal";
/// Longest name shown, characters.
const SHOWN: usize = 128;

macro_rules! line {
    ($($arg:tt)*) => { tracing::info!(target: "bedrud::journal", $($arg)*) };
}

/// An address, or a dash.
struct Address(Option<IpAddr>);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ip) => ip.to_canonical().fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// A name that somebody chose: cut, and of a mail address only the first letter.
fn shown(name: &str) -> String {
    match name.split_once('@') {
        Some((local, _)) => local.chars().take(1).chain("\u{2026}@\u{2026}".chars()).collect(),
        None => name.chars().take(SHOWN).collect(),
    }
}

/// Somebody signed in: `method` is `password`, `register`, `setup` or `guest`.
pub fn signed_in(address: Option<IpAddr>, user: &str, method: &'static str) {
    line!(address = %Address(address), method = %method, user, "signed in");
}

/// Somebody did not get in. `reason` is one word: `credentials`, `throttled`, `refresh-reused`, `password-change`, `setup-link`.
pub fn sign_in_failed(address: Option<IpAddr>, reason: &'static str, user: Option<&str>) {
    line!(address = %Address(address), reason = %reason, user = user.unwrap_or("-"), "sign-in failed");
}

/// Somebody signed out.
pub fn signed_out(address: Option<IpAddr>, user: &str) {
    line!(address = %Address(address), user, "signed out");
}

/// A password was changed.
pub fn password_changed(address: Option<IpAddr>, user: &str) {
    line!(address = %Address(address), user, "password changed");
}

/// A room was made by a person.
pub fn room_created(address: Option<IpAddr>, user: &str, id: &str, name: &str) {
    line!(address = %Address(address), user, id, room = shown(name), "room created");
}

/// A room was ended by a person.
pub fn room_ended(address: Option<IpAddr>, user: &str, id: &str) {
    line!(address = %Address(address), user, id, "room ended");
}

/// Somebody may enter a room. `method` is `account` or `guest`.
pub fn admitted(address: Option<IpAddr>, method: &'static str, user: &str, id: &str) {
    line!(address = %Address(address), method = %method, user, id, "admitted to room");
}

/// A room opened on the media server.
pub fn room_opened(room: &str, sid: &str) {
    line!(room = shown(room), sid, "room opened");
}

/// A room closed on the media server.
pub fn room_closed(room: &str, sid: &str) {
    line!(room = shown(room), sid, "room closed");
}

/// A participant's media connection came up.
pub fn participant_joined(room: &str, identity: &str, sid: &str) {
    line!(room = shown(room), identity = shown(identity), sid, "participant joined");
}

/// A participant is gone; `reason` says why in LiveKit's words.
pub fn participant_left(room: &str, identity: &str, sid: &str, reason: &str) {
    line!(room = shown(room), identity = shown(identity), sid, reason = %reason, "participant left");
}

/// A participant is gone whose media connection never came up.
pub fn participant_never_connected(room: &str, identity: &str, sid: &str, reason: &str) {
    line!(room = shown(room), identity = shown(identity), sid, reason = %reason, "participant did not connect");
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
