//! Telling participants about each other.
//!
//! An update carries everything about a participant to everybody. What matters goes out at once as long as neither the
//! participant nor the room has spent its bytes; the rest is collected, the newest state of each, so that nobody can fill
//! the connections of the others.

use super::{Participant, Room};
use crate::accounts::{ROOM_UPDATES, UPDATES};
use crate::context::Cx;
use crate::ids::Pid;
use crate::timers::Timer;
use livekit_protocol::{ParticipantInfo, ParticipantUpdate, signal_response};
use prost::Message as _;
use std::collections::HashMap;
use std::ops::Bound;
use std::time::Duration;

/// Updates about participants that publish nothing are collected for this long.
pub(super) const BATCH_INTERVAL: Duration = Duration::from_secs(3);
/// In rooms up to this size every update goes out at once: there is nothing to save.
pub(super) const BATCH_FROM: usize = 16;
/// What was put off is looked at this often at most.
const RETRY: Duration = Duration::from_secs(1);
/// In a room that has spent its bytes, who has used no more than this is heard at once, bytes.
const LIGHT: u64 = 16 << 10;
/// Others in the first message of a session, with the room and itself, bytes. The rest follows in updates.
const FIRST_MESSAGE: usize = 512 << 10;
/// A departure says no more than who left when its info is larger than this, bytes.
const LARGE_DEPARTURE: usize = 4 << 10;

/// Whom an update concerns besides everyone else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Everyone but the participant itself.
    Others,
    /// The participant too.
    Everyone,
}

impl Room {
    /// Infos of everyone this participant may see, except itself.
    fn others(&self, cx: &mut Cx<'_>, pid: Pid) -> Vec<ParticipantInfo> {
        cx.spend(self.participants.len() as u64 * 5);
        let visible = self.participants.values().filter(|p| p.pid != pid && !p.hidden());
        visible.map(|p| p.info(&cx.config.region)).collect()
    }

    /// The others as a newcomer is told of them: those that fit into its first message, which holds `taken` bytes already,
    /// and the updates that follow with the rest.
    pub(crate) fn introduce(
        &self,
        cx: &mut Cx<'_>,
        pid: Pid,
        taken: usize,
    ) -> (Vec<ParticipantInfo>, Vec<Vec<ParticipantInfo>>) {
        let mut bytes = taken;
        let (first, rest) = self.others(cx, pid).into_iter().partition(|info| {
            let size = info.encoded_len();
            let fits = bytes.saturating_add(size) <= FIRST_MESSAGE;
            bytes = if fits { bytes.saturating_add(size) } else { bytes };
            fits
        });
        let batch = match cx.config.update_batch_bytes {
            0 => FIRST_MESSAGE,
            bytes => bytes,
        };
        (first, split(rest, batch))
    }

    /// A participant changed: tell the others, at once when it matters.
    pub(crate) fn announce(&mut self, cx: &mut Cx<'_>, pid: Pid, audience: Audience, urgent: bool) {
        self.recount(pid);
        let small = self.participants.len() <= BATCH_FROM;
        let Some(p) = self.participants.get(&pid) else { return };
        if !urgent && !p.is_publisher && !small && audience == Audience::Others {
            self.stale.insert(pid);
            cx.arm_timer(self.key, None, Timer::Updates, BATCH_INTERVAL);
            return;
        }
        let info = p.info(&cx.config.region);
        if audience == Audience::Everyone {
            p.send(cx, update(vec![info.clone()]));
        }
        if p.hidden() {
            self.stale.remove(&pid);
            return;
        }
        match self.put_off(cx, pid) {
            None => {
                self.stale.remove(&pid);
                cx.broadcast(self.conns(|o| o.pid != pid), update(vec![info]));
            }
            Some(wait) => {
                self.stale.insert(pid);
                cx.arm_timer(self.key, None, Timer::Updates, wait);
            }
        }
    }

    /// `None` when an update about this participant may go out now, and is charged. Otherwise the time to wait.
    fn put_off(&mut self, cx: &mut Cx<'_>, pid: Pid) -> Option<Duration> {
        let now = cx.now.mono;
        let (account, bytes) = self.participants.get(&pid).map(|p| (p.account.clone(), p.size as u64))?;
        let room_spent = self.updates.is_spent(now, ROOM_UPDATES);
        let room_wait = self.updates.wait(ROOM_UPDATES);
        let wait = cx.ledger.change(&account, now, &cx.config.limits, |a| {
            if a.updates.is_spent(now, UPDATES) {
                return Some(a.updates.wait(UPDATES));
            }
            let light = a.updates.spent(now, UPDATES).saturating_add(bytes) <= LIGHT;
            if room_spent && !light {
                return Some(room_wait);
            }
            a.updates.charge(now, bytes, UPDATES);
            None
        });
        if wait.is_none() {
            self.updates.charge(now, bytes, ROOM_UPDATES);
        }
        wait.map(|wait| wait.max(RETRY))
    }

    /// Sends the batch: the same to everyone, so that its cost does not grow with the square of the room. Whom it
    /// concerns learns its own state from it.
    pub(crate) fn flush_updates(&mut self, cx: &mut Cx<'_>) {
        let (back, mut infos): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.gone).into_iter().partition(|gone| self.is_shown(&gone.identity));
        // To clients from protocol 12 on a departure would be that of the session which came back meanwhile.
        if !back.is_empty() {
            cx.broadcast(self.conns(|p| p.client.protocol < 12), update(back));
        }
        // Who was put off last time is first now.
        let after = (self.flushed.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut turns: Vec<Pid> = self.stale.range(after).copied().collect();
        turns.extend(self.flushed.into_iter().flat_map(|last| self.stale.range(..=last).copied()));
        let mut next: Option<Duration> = None;
        for pid in turns {
            let shown = self.participants.get(&pid).is_some_and(|p| !p.hidden());
            if let Some(wait) = shown.then(|| self.put_off(cx, pid)).flatten() {
                next = Some(next.map_or(wait, |n| n.min(wait)));
                continue;
            }
            self.stale.remove(&pid);
            self.flushed = Some(pid);
            let info = self.participants.get(&pid).filter(|_| shown).map(|p| p.info(&cx.config.region));
            infos.extend(info);
        }
        let conns = self.conns(|_| true);
        for batch in split(infos, cx.config.update_batch_bytes) {
            cx.broadcast(conns.clone(), update(batch));
        }
        if let Some(wait) = next {
            cx.arm_timer(self.key, None, Timer::Updates, wait);
        }
    }

    /// Everyone, for a resuming client.
    pub(crate) fn snapshot(&self, cx: &mut Cx<'_>, pid: Pid) -> Vec<Vec<ParticipantInfo>> {
        let own = self.get(pid).map(|p| p.info(&cx.config.region));
        split(own.into_iter().chain(self.others(cx, pid)).collect(), cx.config.update_batch_bytes)
    }
}

pub(crate) fn update(participants: Vec<ParticipantInfo>) -> signal_response::Message {
    signal_response::Message::Update(ParticipantUpdate { participants })
}

/// Who it was and why it left.
pub(super) fn brief(info: &ParticipantInfo) -> ParticipantInfo {
    ParticipantInfo { metadata: String::new(), attributes: HashMap::new(), ..info.clone() }
}

/// A departure as the others are told of it.
pub(super) fn departure(p: &Participant, info: &ParticipantInfo) -> ParticipantInfo {
    if p.profile_size() > LARGE_DEPARTURE { brief(info) } else { info.clone() }
}

/// Groups of infos of at most about `target` bytes; 0 means one group.
fn split(infos: Vec<ParticipantInfo>, target: usize) -> Vec<Vec<ParticipantInfo>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for info in infos {
        let size = info.encoded_len();
        if target != 0 && bytes + size > target && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push(info);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}
