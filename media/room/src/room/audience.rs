//! Whom a publisher lets subscribe (`subscription_permission`).

use super::Room;
use crate::accounts::price;
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use livekit_protocol::request_response::Reason;
use livekit_protocol::{SubscriptionPermission, TrackPermission};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Entries of one permission set.
const MAX_ENTRIES: usize = 4096;
/// Tracks named in all of them.
const MAX_TRACKS: usize = 65_536;

/// A publisher's rules, by whom they are about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    everyone: bool,
    sids: HashMap<String, Share>,
    identities: HashMap<String, Share>,
}

/// What one participant may have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    all: bool,
    tracks: HashSet<String>,
}

impl Share {
    fn has(&self, track: &str) -> bool {
        self.all || self.tracks.contains(track)
    }
}

impl Rules {
    /// `None` when an entry names nobody, or there are too many.
    fn read(permission: SubscriptionPermission) -> Option<Self> {
        let named = |p: &TrackPermission| !p.participant_sid.is_empty() || !p.participant_identity.is_empty();
        let entries = permission.track_permissions;
        let tracks: usize = entries.iter().map(|p| p.track_sids.len()).sum();
        if entries.len() > MAX_ENTRIES || tracks > MAX_TRACKS || !entries.iter().all(named) {
            return None;
        }
        let mut rules = Self { everyone: permission.all_participants, ..Self::default() };
        for entry in entries {
            let share = if entry.participant_sid.is_empty() {
                rules.identities.entry(entry.participant_identity).or_default()
            } else {
                rules.sids.entry(entry.participant_sid).or_default()
            };
            share.all |= entry.all_tracks;
            share.tracks.extend(entry.track_sids);
        }
        Some(rules)
    }

    fn allow(&self, sid: &str, identity: &str, track: &str) -> bool {
        self.everyone
            || self.sids.get(sid).is_some_and(|s| s.has(track))
            || self.identities.get(identity).is_some_and(|s| s.has(track))
    }
}

impl Room {
    /// Whether a publisher lets this participant have a track.
    pub(crate) fn is_audience(&self, owner: Pid, track: &str, subscriber: Pid) -> bool {
        let (Some(owner), Some(p)) = (self.get(owner), self.get(subscriber)) else { return false };
        let Some(rules) = &owner.audience else { return true };
        p.is_recorder() || rules.allow(&p.sid, p.identity(), track)
    }

    /// Replaces a publisher's rules. An entry that names nobody makes the whole update void.
    pub(crate) fn set_audience(&mut self, cx: &mut Cx<'_>, pid: Pid, permission: SubscriptionPermission) {
        let Some(rules) = Rules::read(permission) else {
            tracing::info!(room = %self.info.name, "subscription permission ignored: no participant, or too many");
            let text = "an entry names no participant, or there are too many entries";
            self.respond_id(cx, pid, Reason::InvalidRequest, text, 0, None);
            return;
        };
        let Some(p) = self.get_mut(pid) else { return };
        if p.audience.as_deref() == Some(&rules) {
            return;
        }
        p.audience = Some(Arc::new(rules));
        // For the rooms it is forwarded to.
        p.touch();
        self.refresh_audience(cx, pid);
        self.reconcile_data_tracks(cx);
    }

    /// Brings all subscriptions to a publisher's tracks in line with its rules.
    pub(super) fn refresh_audience(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid) else { return };
        let wishes = p.tracks.iter().flat_map(|(track, t)| t.subscribers.iter().map(|s| (*s, track.clone())));
        for (subscriber, track) in wishes.collect::<Vec<(Pid, Sid)>>() {
            cx.spend(price::RECONCILE);
            if self.get(subscriber).is_some_and(|p| p.subscriptions.contains_key(&track)) {
                self.reconcile(cx, subscriber, &track);
            }
        }
        self.mark_viewers(cx);
    }
}
