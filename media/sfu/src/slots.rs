//! Peers by the slot of their transport id, checked by epoch.

use crate::ids::TransportId;

/// A table of boxed values: slots are chosen by the control plane, so there may be holes.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<Option<(u16, Box<T>)>>,
    len: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), len: 0 }
    }
}

impl<T> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Places the table has memory for.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn places(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, id: TransportId) -> Option<&T> {
        let (epoch, value) = self.entries.get(id.slot as usize)?.as_ref()?;
        (*epoch == id.epoch).then_some(value)
    }

    pub(crate) fn get_mut(&mut self, id: TransportId) -> Option<&mut T> {
        let (epoch, value) = self.entries.get_mut(id.slot as usize)?.as_mut()?;
        (*epoch == id.epoch).then_some(value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().flatten().map(|(_, value)| &**value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().flatten().map(|(_, value)| &mut **value)
    }

    /// Epoch of the present tenant of a slot.
    pub(crate) fn epoch(&self, slot: u32) -> Option<u16> {
        self.entries.get(slot as usize)?.as_ref().map(|(epoch, _)| *epoch)
    }

    /// Takes a free slot; false when it is taken.
    pub(crate) fn insert(&mut self, id: TransportId, value: T) -> bool {
        let index = id.slot as usize;
        if index >= self.entries.len() {
            self.entries.resize_with(index + 1, || None);
        }
        match self.entries.get_mut(index) {
            Some(entry @ None) => {
                *entry = Some((id.epoch, Box::new(value)));
                self.len += 1;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn remove(&mut self, id: TransportId) -> Option<Box<T>> {
        let entry = self.entries.get_mut(id.slot as usize)?;
        if entry.as_ref().is_none_or(|(epoch, _)| *epoch != id.epoch) {
            return None;
        }
        let (_, value) = entry.take()?;
        self.len -= 1;
        while self.entries.last().is_some_and(Option::is_none) {
            self.entries.pop();
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_guards_the_slot_and_the_tail_shrinks() {
        let id = |slot, epoch| TransportId { shard: 0, slot, epoch };
        let mut s = Slots::default();
        assert!(s.insert(id(7, 1), 'a'));
        assert!(!s.insert(id(7, 2), 'b'));
        assert_eq!((s.get(id(7, 1)), s.get(id(7, 2)), s.epoch(7)), (Some(&'a'), None, Some(1)));
        assert!(s.remove(id(7, 2)).is_none());
        assert!(s.remove(id(7, 1)).is_some());
        assert_eq!((s.len(), s.places()), (0, 0));
    }
}
