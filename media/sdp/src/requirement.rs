//! When a single-connection client has to be asked for an offer, and for how many sections.

use bedrud_rtp::MediaKind;

/// Numbers of audio and video sections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SectionCounts {
    /// Audio.
    pub audios: u32,
    /// Video.
    pub videos: u32,
}

impl SectionCounts {
    /// Neither audio nor video.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.audios == 0 && self.videos == 0
    }

    pub(crate) const fn add(&mut self, kind: Option<MediaKind>) {
        match kind {
            Some(MediaKind::Audio) => self.audios = self.audios.saturating_add(1),
            Some(MediaKind::Video) => self.videos = self.videos.saturating_add(1),
            None => {}
        }
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self {
            audios: self.audios.saturating_sub(other.audios),
            videos: self.videos.saturating_sub(other.videos),
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            audios: self.audios.saturating_add(other.audios),
            videos: self.videos.saturating_add(other.videos),
        }
    }
}

/// What the client was asked for and has not delivered.
#[derive(Debug, Default)]
pub(crate) struct Requirement {
    outstanding: SectionCounts,
    asked: bool,
    changed: bool,
}

impl Requirement {
    /// Something the client knows of changed.
    pub(crate) const fn change(&mut self) {
        self.changed = true;
    }

    /// An offer was answered; it brought `added` sections to send on. What an offer that crossed our request did not
    /// bring stays outstanding: the client will offer once more.
    pub(crate) const fn answered(&mut self, added: SectionCounts) {
        self.outstanding = self.outstanding.minus(added);
        self.asked = false;
        self.changed = false;
    }

    pub(crate) const fn reset(&mut self) {
        self.outstanding = SectionCounts { audios: 0, videos: 0 };
        self.asked = false;
        self.changed = true;
    }

    /// `waiting` tracks want a section, `free` sections can take one at the next answer.
    pub(crate) const fn take(
        &mut self,
        waiting: SectionCounts,
        free: SectionCounts,
    ) -> Option<SectionCounts> {
        let counts = waiting.minus(free).minus(self.outstanding);
        let bindable = (waiting.audios > 0 && free.audios > 0) || (waiting.videos > 0 && free.videos > 0);
        if counts.is_zero() && (self.asked || !(self.changed || bindable)) {
            return None;
        }
        self.outstanding = self.outstanding.plus(counts);
        self.asked = true;
        self.changed = false;
        Some(counts)
    }
}
