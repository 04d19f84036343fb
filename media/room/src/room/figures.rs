//! What a room holds, counted.

use super::Room;
use crate::metrics::{ByKind, RoomMetrics, Traffic};
use bedrud_rtp::MediaKind;

impl Room {
    pub(crate) fn metrics(&self, traffic: Traffic) -> RoomMetrics {
        let (mut published, mut subscribed) = (ByKind::default(), ByKind::default());
        let add = |to: &mut ByKind, kind| match kind {
            MediaKind::Audio => to.audio += 1,
            MediaKind::Video => to.video += 1,
        };
        for p in self.participants.values() {
            for track in p.tracks.values() {
                add(&mut published, track.kind);
            }
            for (track, _) in p.subscriptions.iter().filter(|(_, s)| s.down.is_some()) {
                if let Some(track) = self.published(track) {
                    add(&mut subscribed, track.kind);
                }
            }
        }
        RoomMetrics {
            name: self.info.name.clone(),
            sid: self.info.sid.clone(),
            participants: self.participants.len(),
            published,
            subscribed,
            traffic,
        }
    }
}
