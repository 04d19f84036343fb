//! Whom a publisher lets subscribe (`subscription_permission`).

use super::{Participant, Room};
use crate::context::Cx;
use crate::ids::{Pid, Sid};
use livekit_protocol::SubscriptionPermission;

/// Entries of one permission set.
const MAX_ENTRIES: usize = 4096;

impl Room {
    /// Whether a publisher lets this participant have a track.
    pub(crate) fn is_audience(&self, owner: Pid, track: &str, subscriber: Pid) -> bool {
        let (Some(owner), Some(p)) = (self.get(owner), self.get(subscriber)) else { return false };
        let Some(rules) = &owner.audience else { return true };
        if rules.all_participants || p.is_recorder() {
            return true;
        }
        let about = |r: &&livekit_protocol::TrackPermission| {
            if r.participant_sid.is_empty() {
                r.participant_identity == p.identity()
            } else {
                *r.participant_sid == *p.sid
            }
        };
        let mut entries = rules.track_permissions.iter().filter(about);
        entries.any(|r| r.all_tracks || r.track_sids.iter().any(|t| t == track))
    }

    /// Replaces a publisher's rules. An entry that names nobody makes the whole update void.
    pub(crate) fn set_audience(&mut self, cx: &mut Cx<'_>, pid: Pid, rules: SubscriptionPermission) {
        let nameless = |r: &livekit_protocol::TrackPermission| {
            r.participant_sid.is_empty() && r.participant_identity.is_empty()
        };
        if rules.track_permissions.len() > MAX_ENTRIES || rules.track_permissions.iter().any(nameless) {
            tracing::info!(room = %self.info.name, "subscription permission ignored: entry without participant");
            return;
        }
        let Some(p) = self.get_mut(pid) else { return };
        p.audience = Some(rules);
        // For the rooms it is forwarded to.
        p.touch();
        self.refresh_audience(cx, pid);
        self.reconcile_data_tracks(cx);
    }

    /// Brings all subscriptions to a publisher's tracks in line with its rules.
    pub(super) fn refresh_audience(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get(pid) else { return };
        let tracks: Vec<Sid> = p.tracks.keys().cloned().collect();
        let wishes = |p: &Participant, track: &Sid| p.subscriptions.contains_key(track);
        for subscriber in self.pids() {
            for track in &tracks {
                if self.get(subscriber).is_some_and(|p| wishes(p, track)) {
                    self.reconcile(cx, subscriber, track);
                }
            }
        }
        self.mark_viewers(cx);
    }
}
