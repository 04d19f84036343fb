//! Dependency descriptor (AV1 RTP specification appendix A): frame bounds, layers, what a frame needs and whom it
//! serves.

mod rewrite;
mod structure;

pub use rewrite::{DependencyLayout, MAX_DEPENDENCY_DESCRIPTOR, RewrittenDescriptor};
pub use structure::{DecodeTarget, DependencyStructure, FrameLayer, Indication};

use super::bits::Bits;
use crate::bytes::u16_at;
use crate::receive::extend_seq;
use structure::{Relations, read_indications};

/// Most decode targets (5-bit count), and chains, of which there are no more.
const MAX_TARGETS: usize = 32;

/// Why a descriptor was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DependencyError {
    /// The descriptor ends inside a field.
    #[error("dependency descriptor is truncated")]
    Truncated,
    /// A count or id is out of range.
    #[error("dependency descriptor is malformed")]
    Malformed,
}

/// A parsed descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyDescriptor {
    /// First packet of the frame.
    pub frame_start: bool,
    /// Last packet of the frame.
    pub frame_end: bool,
    /// Template id as sent, 0..64.
    pub template_id: u8,
    /// Frame number as sent, wraps.
    pub frame_number: u16,
    /// Frame number that does not wrap: counts on within one [`DependencyReader`].
    pub frame: u64,
    /// A template structure came with this packet: it starts a coded video sequence, a key frame.
    pub structure_attached: bool,
    /// Active decode targets, bit per target, when sent.
    pub active_targets: Option<u32>,
    /// Layer, unknown until a structure that has the template was seen.
    pub layer: Option<FrameLayer>,
    /// Where the parts of the descriptor are; unknown as long as the layer is.
    pub layout: Option<DependencyLayout>,
    targets: u8,
    relations: Relations,
}

impl DependencyDescriptor {
    /// What the frame is for a decode target; `None` for targets that do not exist or while the structure is
    /// unknown.
    #[must_use]
    pub fn indication(&self, target: u8) -> Option<Indication> {
        if target >= self.targets {
            return None;
        }
        Some(match self.relations.indications >> (2 * u32::from(target)) & 3 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        })
    }

    /// For every chain, how many frames back its previous frame is; 0 when the chain starts with this frame.
    #[must_use]
    pub fn chain_diffs(&self) -> &[u8] {
        self.relations.chain_diffs()
    }

    /// How many frames back the frames are that this one is predicted from.
    #[must_use]
    pub fn references(&self) -> &[u16] {
        self.relations.references()
    }
}

/// Reads the descriptors of one stream; remembers the last template structure, and the one before for packets that come
/// late. Allocates only when one arrives.
#[derive(Debug, Clone, Default)]
pub struct DependencyReader {
    current: Option<Known>,
    before: Option<Known>,
    newest: Option<u64>,
    active: (u64, u32),
}

/// A structure and the key frame it came with.
#[derive(Debug, Clone)]
struct Known {
    structure: DependencyStructure,
    since: u64,
}

impl DependencyReader {
    /// A reader that knows no structure yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The structure in force.
    #[must_use]
    pub fn structure(&self) -> Option<&DependencyStructure> {
        self.current.as_ref().map(|k| &k.structure)
    }

    /// The structure of a frame, the one in force or the one before.
    #[must_use]
    pub fn structure_at(&self, frame: u64) -> Option<&DependencyStructure> {
        self.known_at(frame).map(|k| &k.structure)
    }

    /// The key frame of the structure in force.
    #[must_use]
    pub fn structure_frame(&self) -> Option<u64> {
        self.current.as_ref().map(|k| k.since)
    }

    fn known_at(&self, frame: u64) -> Option<&Known> {
        let began = |k: &&Known| frame >= k.since;
        self.current.as_ref().filter(began).or(self.before.as_ref().filter(began)).or(self.current.as_ref())
    }

    /// Decode targets the sender produces, a bit per target, by the newest frame that told.
    #[must_use]
    pub fn active_targets(&self) -> u32 {
        self.active.1
    }

    /// Highest layers of a decode target of the current structure.
    #[must_use]
    pub fn target_layer(&self, target: u8) -> Option<FrameLayer> {
        Some(self.structure()?.targets().get(usize::from(target))?.layer)
    }

    /// Reads one descriptor. A structure is remembered when the whole descriptor is right.
    ///
    /// # Errors
    /// [`DependencyError`]; the remembered structures are then unchanged.
    pub fn read(&mut self, bytes: &[u8]) -> Result<DependencyDescriptor, DependencyError> {
        let number = u16_at(bytes, 1).ok_or(DependencyError::Truncated)?;
        // One wrap above zero, so that the frames before the first one have numbers too.
        let first = 0x1_0000 + u64::from(number);
        let frame = self.newest.map_or(first, |n| extend_seq(n, number).unwrap_or(first));
        let mut attached = None;
        let mut dd =
            read(bytes, self.structure_at(frame), &mut attached).ok_or(DependencyError::Truncated)??;
        dd.frame = frame;
        self.newest = Some(self.newest.map_or(frame, |n| n.max(frame)));
        if let Some(structure) = attached {
            let known = Known { structure, since: frame };
            match &self.current {
                Some(current) if current.since > frame => self.before = Some(known),
                // The key frame once more, repaired or repeated.
                Some(current) if current.since == frame => self.current = Some(known),
                _ => self.before = self.current.replace(known),
            }
        }
        if let Some(active) = dd.active_targets
            && frame >= self.active.0
        {
            self.active = (frame, active);
        }
        Ok(dd)
    }
}

/// `None` is a truncated descriptor.
fn read(
    bytes: &[u8],
    known: Option<&DependencyStructure>,
    attached: &mut Option<DependencyStructure>,
) -> Option<Result<DependencyDescriptor, DependencyError>> {
    let mut bits = Bits::new(bytes);
    let mut dd = DependencyDescriptor {
        frame_start: bits.flag()?,
        frame_end: bits.flag()?,
        template_id: bits.read(6)? as u8,
        frame_number: bits.read(16)? as u16,
        frame: 0,
        structure_attached: false,
        active_targets: None,
        layer: None,
        layout: None,
        targets: 0,
        relations: Relations::NONE,
    };
    let (mut active_present, mut indications, mut references, mut chains) = (false, false, false, false);
    let extended = bytes.len() > 3;
    if extended {
        dd.structure_attached = bits.flag()?;
        active_present = bits.flag()?;
        indications = bits.flag()?;
        references = bits.flag()?;
        chains = bits.flag()?;
        if dd.structure_attached {
            match DependencyStructure::read(&mut bits)? {
                Ok(structure) => *attached = Some(structure),
                Err(error) => return Some(Err(error)),
            }
        }
    }
    let Some(structure) = attached.as_ref().or(known) else { return Some(Ok(dd)) };
    let targets = structure.targets().len() as u8;
    let active_at = bits.position();
    if active_present {
        dd.active_targets = Some(bits.read(u32::from(targets))?);
    } else if dd.structure_attached {
        dd.active_targets = Some(structure.all_targets());
    }
    let Some((layer, relations)) = structure.template(dd.template_id) else {
        // A template of a structure this reader missed.
        dd.active_targets = dd.active_targets.filter(|_| dd.structure_attached);
        return Some(if dd.structure_attached { Err(DependencyError::Malformed) } else { Ok(dd) });
    };
    dd.targets = targets;
    dd.layer = Some(layer);
    dd.relations = relations;
    if indications {
        dd.relations.indications = read_indications(&mut bits, targets)?;
    }
    if references && dd.relations.read_references(&mut bits)?.is_err() {
        return Some(Err(DependencyError::Malformed));
    }
    if chains {
        dd.relations.read_chain_diffs(&mut bits)?;
    }
    dd.layout = Some(DependencyLayout::new(targets, extended, active_present, active_at, bits.position()));
    Some(Ok(dd))
}

#[cfg(test)]
mod tests;
