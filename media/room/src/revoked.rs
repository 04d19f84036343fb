//! Tokens of removed participants, which must not bring them back.
//!
//! A token is refused when it was issued before the removal (by the later of `nbf` and `iat`), or when the removed
//! session had used it. One that was signed after the removal is welcome; so is one that does not say when it was
//! signed, as some SDKs make them, because nothing tells it from a fresh one. A time given with the removal is strict:
//! such a token is refused then.

use crate::grants::Claims;
use std::collections::HashMap;

/// Entries kept; beyond that the one that ends first is forgotten.
const MAX_ENTRIES: usize = 65_536;
/// Names of tokens kept in one entry.
const MAX_TOKENS: usize = 32;
/// What clocks may be off, seconds: tokens are accepted that much longer than they say.
const LEEWAY: i64 = 60;
/// Tokens that nobody has shown yet may live this long, seconds: the default of the SDKs.
const UNSEEN_LIFE: i64 = 6 * 3600;
/// Entries end after this at the latest, seconds.
const MAX_LIFE: i64 = 366 * 86_400;

/// How much earlier than our clock a fresh token may say it was signed, seconds: clocks differ, and the Ruby SDK sets
/// `nbf` five seconds back.
const SIGNING_LEEWAY: i64 = 10;
/// Stands among the names of refused tokens for those that do not say when they were signed.
const UNDATED: &str = "undated";
/// A time from here on is in milliseconds: as seconds it would be thousands of years ahead.
const FIRST_MILLIS: i64 = 100_000_000_000;

/// What is refused for one identity in one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The embedder's id of the room, or its name when there is none.
    pub room: String,
    /// Participant identity.
    pub identity: String,
    /// Tokens issued before this are refused, seconds since the epoch.
    pub not_before: i64,
    /// The entry can be forgotten after this, seconds since the epoch: the tokens have expired by then.
    pub until: i64,
    /// Tokens refused whenever they were issued: digests of those that were shown ([`crate::JoinParams::token`]), `jti`
    /// of those that the server issued to the session, and a word for all that do not say when.
    pub tokens: Vec<String>,
}

impl Revocation {
    /// For a session that is removed at `now` (seconds since the epoch). An explicit time replaces both rules; it may be
    /// in milliseconds, as the Rust SDK documents it.
    pub(crate) fn of(
        room: &str,
        identity: &str,
        claims: &Claims,
        tokens: Vec<String>,
        explicit: Option<i64>,
        now: i64,
    ) -> Self {
        let life = claims.exp.unwrap_or(0).max(now.saturating_add(UNSEEN_LIFE)).saturating_add(LEEWAY);
        Self {
            room: room.to_owned(),
            identity: identity.to_owned(),
            not_before: explicit.map_or(now.saturating_sub(SIGNING_LEEWAY), |ts| {
                if ts >= FIRST_MILLIS { ts / 1000 } else { ts }
            }),
            until: life.min(now.saturating_add(MAX_LIFE)),
            tokens: if explicit.is_some() { vec![UNDATED.to_owned()] } else { tokens },
        }
    }

    fn refuses(&self, claims: &Claims, token: &str) -> bool {
        // Zero is what some SDKs write for "not set".
        let issued = [claims.nbf, claims.iat].into_iter().flatten().filter(|t| *t > 0).max();
        let undated = issued.is_none().then_some(UNDATED);
        let names = [Some(token), claims.jti.as_deref(), undated];
        issued.is_some_and(|t| t < self.not_before)
            || names.into_iter().flatten().any(|n| !n.is_empty() && self.tokens.iter().any(|t| t == n))
    }

    fn merge(&mut self, newer: Self) {
        self.not_before = self.not_before.max(newer.not_before);
        self.until = self.until.max(newer.until);
        self.tokens.extend(newer.tokens);
        self.tokens.sort_unstable();
        self.tokens.dedup();
        let excess = self.tokens.len().saturating_sub(MAX_TOKENS);
        self.tokens.drain(..excess);
    }
}

/// All entries, by room and identity.
#[derive(Debug, Default)]
pub(crate) struct Revocations(HashMap<(String, String), Revocation>);

impl Revocations {
    /// Adds an entry, or extends the one there is. Returns it as it is now.
    pub(crate) fn add(&mut self, entry: Revocation, now: i64) -> Revocation {
        let key = (entry.room.clone(), entry.identity.clone());
        if let Some(known) = self.0.get_mut(&key) {
            known.merge(entry);
            return known.clone();
        }
        if self.0.len() >= MAX_ENTRIES {
            self.make_place(now);
        }
        self.0.insert(key, entry.clone());
        entry
    }

    fn make_place(&mut self, now: i64) {
        self.0.retain(|_, e| e.until >= now);
        if self.0.len() >= MAX_ENTRIES
            && let Some(first) = self.0.iter().min_by_key(|(_, e)| e.until).map(|(k, _)| k.clone())
        {
            self.0.remove(&first);
        }
    }

    /// Whether a token may not be used. `token` is its digest, empty when unknown.
    pub(crate) fn refuse(&self, room: &str, identity: &str, claims: &Claims, token: &str, now: i64) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let entry = self.0.get(&(room.to_owned(), identity.to_owned()));
        entry.is_some_and(|e| e.until >= now && e.refuses(claims, token))
    }

    /// What still matters, by room and identity.
    pub(crate) fn snapshot(&self, now: i64) -> Vec<Revocation> {
        let mut all: Vec<_> = self.0.values().filter(|e| e.until >= now).cloned().collect();
        all.sort_by(|a, b| (&a.room, &a.identity).cmp(&(&b.room, &b.identity)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn token(nbf: Option<i64>, iat: Option<i64>, jti: Option<&str>) -> Claims {
        Claims {
            sub: "ada".into(),
            nbf,
            iat,
            jti: jti.map(str::to_owned),
            exp: Some(NOW + 600),
            ..Claims::default()
        }
    }

    fn removed(explicit: Option<i64>) -> Revocations {
        let mut all = Revocations::default();
        let names = vec!["digest".to_owned(), "PA_1".to_owned()];
        let entry = Revocation::of("den", "ada", &token(Some(NOW - 5), None, None), names, explicit, NOW);
        all.add(entry, NOW);
        all
    }

    #[test]
    fn older_and_used_tokens_are_refused_and_newer_ones_welcome() {
        let all = removed(None);
        let refuse = |claims: &Claims, digest: &str| all.refuse("den", "ada", claims, digest, NOW);
        let old = NOW - SIGNING_LEEWAY - 1;
        assert!(refuse(&token(Some(old), None, None), "x"));
        assert!(refuse(&token(None, Some(old), None), "x"));
        assert!(refuse(&token(Some(0), Some(old), None), "x"));
        assert!(refuse(&token(Some(NOW), None, None), "digest"), "used in the second of the removal");
        assert!(refuse(&token(Some(NOW), None, Some("PA_1")), "x"), "issued to the session");
        assert!(!refuse(&token(Some(NOW), None, None), "x"));
        assert!(!refuse(&token(Some(NOW), Some(NOW - 100), None), ""));
        assert!(!all.refuse("den", "bob", &token(None, None, None), "digest", NOW));
        assert!(!all.refuse("other", "ada", &token(None, None, None), "digest", NOW));
    }

    #[test]
    fn fresh_tokens_are_welcome_in_the_shape_of_every_sdk() {
        let all = removed(None);
        for (sdk, nbf, iat) in [
            ("Go, Rust", Some(NOW), None),
            ("Python", Some(NOW), Some(NOW)),
            ("Ruby", Some(NOW - 5), None),
            ("Kotlin", None, None),
            ("Node before 2", Some(0), None),
            ("hand-made", Some(0), Some(NOW)),
        ] {
            let fresh = token(nbf, iat, None);
            assert!(!all.refuse("den", "ada", &fresh, "fresh", NOW), "{sdk}");
            assert!(all.refuse("den", "ada", &fresh, "digest", NOW), "{sdk}: the one that was used");
        }
    }

    #[test]
    fn given_time_refuses_tokens_without_any() {
        let undated = [token(None, None, None), token(Some(0), Some(0), None)];
        let mut all = removed(Some(NOW));
        all.add(Revocation::of("den", "ada", &undated[0], vec!["z".into()], None, NOW + 1), NOW + 1);
        for claims in &undated {
            assert!(all.refuse("den", "ada", claims, "x", NOW + 1));
        }
    }

    #[test]
    fn explicit_time_decides_alone() {
        let all = removed(Some(NOW + 60));
        assert!(all.refuse("den", "ada", &token(Some(NOW + 59), None, None), "x", NOW));
        assert!(!all.refuse("den", "ada", &token(Some(NOW + 60), None, None), "digest", NOW));
        let millis = removed(Some((NOW + 60) * 1000));
        assert!(millis.refuse("den", "ada", &token(Some(NOW + 59), None, None), "x", NOW));
        assert!(!millis.refuse("den", "ada", &token(Some(NOW + 60), None, None), "x", NOW));
        assert!(!removed(Some(1)).refuse("den", "ada", &token(Some(NOW - 5), None, None), "digest", NOW));
    }

    #[test]
    fn entries_end_with_the_tokens_and_grow_by_merging() {
        let mut all = removed(None);
        let until = all.snapshot(NOW)[0].until;
        assert_eq!(until, NOW + UNSEEN_LIFE + LEEWAY);
        assert!(all.snapshot(until + 1).is_empty());
        assert!(!all.refuse("den", "ada", &token(None, None, None), "digest", until + 1));
        let forever = Claims { exp: Some(i64::MAX), ..Claims::default() };
        let later = Revocation::of("den", "ada", &forever, vec!["second".into()], None, NOW + 50);
        let merged = all.add(later, NOW + 50);
        assert_eq!((merged.not_before, merged.until), (NOW + 50 - SIGNING_LEEWAY, NOW + 50 + MAX_LIFE));
        assert_eq!(merged.tokens.len(), 3);
        assert_eq!(all.snapshot(NOW), [merged]);
    }

    #[test]
    fn entries_are_bounded() {
        let mut all = Revocations::default();
        for i in 0..=MAX_ENTRIES {
            let i = i64::try_from(i).unwrap();
            let entry = Revocation {
                room: "den".into(),
                identity: format!("p{i}"),
                not_before: NOW,
                until: NOW + i,
                tokens: vec![],
            };
            all.add(entry, NOW);
        }
        assert_eq!(all.0.len(), MAX_ENTRIES);
        assert!(!all.0.contains_key(&("den".to_owned(), "p0".to_owned())));
    }
}
