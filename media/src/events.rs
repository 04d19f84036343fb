//! News for the platform: rooms, participants, tracks.

use bedrud_room::RoomEvent;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// One item of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub enum SfuEvent {
    /// Something happened.
    Room(Box<RoomEvent>),
    /// The subscriber was too slow and this many events are lost to it. What is stored about rooms must be checked
    /// against the room service.
    Missed(u64),
}

/// A subscription to everything that happens from its creation on.
#[derive(Debug)]
pub struct EventReceiver(pub(crate) broadcast::Receiver<Box<RoomEvent>>);

impl EventReceiver {
    /// The next event; `None` after the end of the media server.
    pub async fn recv(&mut self) -> Option<SfuEvent> {
        match self.0.recv().await {
            Ok(event) => Some(SfuEvent::Room(event)),
            Err(RecvError::Lagged(n)) => Some(SfuEvent::Missed(n)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next event if there is one.
    pub fn try_recv(&mut self) -> Option<SfuEvent> {
        match self.0.try_recv() {
            Ok(event) => Some(SfuEvent::Room(event)),
            Err(TryRecvError::Lagged(n)) => Some(SfuEvent::Missed(n)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}
