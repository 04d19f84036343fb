//! Media tokens of removed participants, kept over a restart.

use std::collections::BTreeMap;

use bedrud_media::Revocation;

use crate::{
    db::{DbResult, Moment, revoked_tokens as table, revoked_tokens::RevokedToken},
    domain::Platform,
};

/// Stores a revocation. Storing one twice, or an older one after a newer, changes nothing.
///
/// # Errors
/// The database's.
pub async fn store(platform: &Platform, entry: &Revocation) -> DbResult<()> {
    let rows = rows(entry);
    platform.store.write(move |c| table::put(c, &rows)).await
}

/// What is to be told to the media server before anybody can join.
///
/// # Errors
/// The database's.
pub async fn kept(platform: &Platform) -> DbResult<Vec<Revocation>> {
    let now = platform.now();
    Ok(entries(platform.store.read(move |c| table::all(c, now)).await?))
}

/// The rows of an entry: one for the time, one for each token.
pub(super) fn rows(entry: &Revocation) -> Vec<RevokedToken> {
    let row = |token: &str, not_before| RevokedToken {
        room: entry.room.clone(),
        identity: entry.identity.clone(),
        token: token.to_owned(),
        not_before,
        expires_at: Moment::from_secs(entry.until),
    };
    let tokens = entry.tokens.iter().filter(|t| !t.is_empty());
    std::iter::once(row("", entry.not_before)).chain(tokens.map(|token| row(token, 0))).collect()
}

fn entries(rows: Vec<RevokedToken>) -> Vec<Revocation> {
    let mut all: BTreeMap<(String, String), Revocation> = BTreeMap::new();
    for row in rows {
        let key = (row.room.clone(), row.identity.clone());
        let entry = all.entry(key).or_insert_with(|| Revocation {
            room: row.room,
            identity: row.identity,
            not_before: 0,
            until: 0,
            tokens: Vec::new(),
        });
        entry.not_before = entry.not_before.max(row.not_before);
        entry.until = entry.until.max(row.expires_at.secs());
        if !row.token.is_empty() {
            entry.tokens.push(row.token);
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::with_db;

    #[test]
    fn entries_come_back_as_they_were_stored() {
        with_db(|c| {
            let entry = |room: &str, tokens: &[&str]| Revocation {
                room: room.into(),
                identity: "ada".into(),
                not_before: 1000,
                until: 2000,
                tokens: tokens.iter().map(|t| (*t).to_owned()).collect(),
            };
            let all = [entry("den", &["one", "two"]), entry("hall", &[])];
            for entry in &all {
                table::put(c, &rows(entry)).unwrap();
            }
            assert_eq!(entries(table::all(c, Moment::EPOCH).unwrap()), all);
            table::put(c, &rows(&entry("hall", &["three"]))).unwrap();
            let merged = entries(table::all(c, Moment::EPOCH).unwrap());
            assert_eq!(merged[1], entry("hall", &["three"]));
        });
    }
}
