//! The open rooms, and which of them was being worked on.

use crate::ids::RoomKey;
use crate::room::Room;
use std::cell::Cell;
use std::collections::HashMap;

/// Rooms by key. Whoever takes one out to work on it leaves its key here, so that a failure can be laid to a room
/// without every place having to remember it.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    map: HashMap<RoomKey, Room>,
    touched: Cell<[Option<RoomKey>; 2]>,
}

impl Rooms {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn get(&self, key: &RoomKey) -> Option<&Room> {
        self.touched.set([Some(*key), None]);
        self.map.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &RoomKey) -> Option<&mut Room> {
        self.touched.set([Some(*key), None]);
        self.map.get_mut(key)
    }

    /// Two rooms at once: a failure is laid to both, since either may hold half of what is between them.
    pub(crate) fn get_disjoint_mut(&mut self, keys: [&RoomKey; 2]) -> [Option<&mut Room>; 2] {
        self.touched.set(keys.map(|key| Some(*key)));
        self.map.get_disjoint_mut(keys)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RoomKey, &Room)> {
        self.map.iter().inspect(|(key, _)| self.touched.set([Some(**key), None]))
    }

    pub(crate) fn keys(&self) -> Vec<RoomKey> {
        self.map.keys().copied().collect()
    }

    pub(crate) fn insert(&mut self, key: RoomKey, room: Room) {
        self.map.insert(key, room);
    }

    pub(crate) fn remove(&mut self, key: &RoomKey) -> Option<Room> {
        self.map.remove(key)
    }

    /// A new piece of work begins, at no room yet.
    pub(crate) fn untouch(&self) {
        self.touched.set([None; 2]);
    }

    /// The rooms worked on last, as far as they are open.
    pub(crate) fn touched(&self) -> Vec<RoomKey> {
        self.touched.get().into_iter().flatten().filter(|key| self.map.contains_key(key)).collect()
    }
}
