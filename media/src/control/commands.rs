//! Commands on their way to shards whose queue is full.

use bedrud_net::NetError;
use bedrud_sfu::Command;
use std::collections::VecDeque;
use std::time::Duration;

/// How soon commands that found no room are offered again.
pub(super) const RETRY: Duration = Duration::from_millis(5);
/// Commands that may wait for one shard besides those in its queue.
const MAX_WAITING: usize = 65_536;

/// A shard took nothing for so long that it must be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stuck(pub(super) u16);

/// What each shard has not had room for, in order.
///
/// The control plane serves all shards, so it waits for none. Nothing of this may be lost, or shard and control plane
/// would not agree any more about what exists; only lossy messages are dropped, which is what they are for. A shard that
/// leaves this much behind takes nothing at all.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    shards: Vec<VecDeque<Box<Command>>>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.shards.iter().all(VecDeque::is_empty)
    }

    /// Hands a command to `offer`, behind those that wait already.
    pub(super) fn send(
        &mut self,
        shard: u16,
        command: Box<Command>,
        offer: impl Fn(u16, Box<Command>) -> Result<(), (NetError, Box<Command>)>,
    ) -> Result<(), Stuck> {
        let index = usize::from(shard);
        if self.shards.get(index).is_none_or(VecDeque::is_empty) {
            match offer(shard, command) {
                Ok(()) => return Ok(()),
                Err((NetError::Full, command)) => return self.keep(shard, command),
                // Its end has been reported where it happened.
                Err(_) => return Ok(()),
            }
        }
        self.keep(shard, command)
    }

    fn keep(&mut self, shard: u16, command: Box<Command>) -> Result<(), Stuck> {
        match &*command {
            Command::SendDataTrack { .. } => return Ok(()),
            Command::SendData { channel, .. } if !channel.is_reliable() => return Ok(()),
            _ => {}
        }
        let index = usize::from(shard);
        if self.shards.len() <= index {
            self.shards.resize_with(index + 1, VecDeque::new);
        }
        let Some(queue) = self.shards.get_mut(index) else { return Ok(()) };
        if queue.len() >= MAX_WAITING {
            return Err(Stuck(shard));
        }
        queue.push_back(command);
        Ok(())
    }

    /// Offers again what waits.
    pub(super) fn retry(
        &mut self,
        offer: impl Fn(u16, Box<Command>) -> Result<(), (NetError, Box<Command>)>,
    ) {
        for (shard, queue) in (0u16..).zip(&mut self.shards) {
            while let Some(command) = queue.pop_front() {
                match offer(shard, command) {
                    Ok(()) => {}
                    Err((NetError::Full, command)) => {
                        queue.push_front(command);
                        break;
                    }
                    Err(_) => {
                        queue.clear();
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrud_sfu::{DataChannel, TransportId, UpTrackId};
    use std::cell::{Cell, RefCell};

    fn key_frame(n: u64) -> Box<Command> {
        Box::new(Command::RequestKeyFrame { id: UpTrackId(n) })
    }

    fn lossy() -> Box<Command> {
        let id = TransportId { shard: 1, slot: 0, epoch: 0 };
        Box::new(Command::SendData {
            to: vec![id],
            channel: DataChannel::Lossy,
            payload: bytes::Bytes::new(),
        })
    }

    #[test]
    fn a_full_shard_delays_its_own_commands_and_no_others() {
        let (room, got) = (Cell::new(0), RefCell::new(Vec::new()));
        let offer = |shard: u16, command: Box<Command>| {
            if shard == 1 && room.get() == 0 {
                return Err((NetError::Full, command));
            }
            if shard == 1 {
                room.set(room.get() - 1);
            }
            got.borrow_mut().push((shard, *command));
            Ok(())
        };
        let mut waiting = Waiting::default();
        for n in 0..4 {
            assert_eq!(waiting.send(1, key_frame(n), offer), Ok(()));
            assert_eq!(waiting.send(1, lossy(), offer), Ok(()));
        }
        assert_eq!(waiting.send(0, key_frame(9), offer), Ok(()));
        assert_eq!(got.take(), [(0, *key_frame(9))], "another shard is not held up");
        room.set(2);
        assert_eq!(waiting.send(1, key_frame(4), offer), Ok(()));
        assert!(got.borrow().is_empty(), "none overtakes another");
        waiting.retry(offer);
        room.set(9);
        waiting.retry(offer);
        let order: Vec<_> = (0..5).map(|n| (1, *key_frame(n))).collect();
        assert_eq!(got.take(), order, "all in order, and only lossy messages are missing");
        assert!(waiting.is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let full = |_: u16, command: Box<Command>| Err((NetError::Full, command));
        let mut waiting = Waiting::default();
        for n in 0..MAX_WAITING as u64 {
            assert_eq!(waiting.send(0, key_frame(n), full), Ok(()));
        }
        assert_eq!(waiting.send(0, key_frame(0), full), Err(Stuck(0)));
        waiting.retry(|_, command| Err((NetError::Stopped, command)));
        assert!(waiting.is_empty(), "nothing is kept for a shard that has ended");
    }
}
