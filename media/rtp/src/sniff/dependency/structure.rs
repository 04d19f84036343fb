//! Template structure: what the frames of a coded video sequence look like.

use super::super::bits::Bits;
use super::{DependencyError, MAX_TARGETS};

/// Most templates (6-bit id).
const MAX_TEMPLATES: usize = 64;
/// Most frames a frame is predicted from; no codec has more.
const MAX_REFERENCES: usize = 16;

/// Layer of a frame. Ordered by spatial, then temporal layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameLayer {
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
}

/// What a frame is for a decode target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indication {
    /// Not part of it.
    NotPresent,
    /// Part of it, nothing depends on it.
    Discardable,
    /// A receiver may switch to the target here.
    Switch,
    /// Required.
    Required,
}

/// A subset of the frames that can be decoded by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeTarget {
    /// Highest layers in it.
    pub layer: FrameLayer,
    /// The chain that tells whether it can be decoded; none when the structure has no chains.
    pub chain: Option<u8>,
}

/// How a frame relates to decode targets, chains and other frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relations {
    /// Two bits per target.
    pub(super) indications: u64,
    chains: u8,
    chain_diffs: [u8; MAX_TARGETS],
    references: u8,
    reference_diffs: [u16; MAX_REFERENCES],
}

impl Relations {
    pub(super) const NONE: Self = Self {
        indications: 0,
        chains: 0,
        chain_diffs: [0; MAX_TARGETS],
        references: 0,
        reference_diffs: [0; MAX_REFERENCES],
    };

    pub(super) fn chain_diffs(&self) -> &[u8] {
        self.chain_diffs.get(..usize::from(self.chains)).unwrap_or(&[])
    }

    pub(super) fn references(&self) -> &[u16] {
        self.reference_diffs.get(..usize::from(self.references)).unwrap_or(&[])
    }

    fn add_reference(&mut self, diff: u32) -> Result<(), DependencyError> {
        let slot = self.reference_diffs.get_mut(usize::from(self.references));
        *slot.ok_or(DependencyError::Malformed)? =
            u16::try_from(diff).map_err(|_| DependencyError::Malformed)?;
        self.references += 1;
        Ok(())
    }

    /// References of a frame that differ from its template's.
    pub(super) fn read_references(&mut self, bits: &mut Bits<'_>) -> Option<Result<(), DependencyError>> {
        self.references = 0;
        loop {
            let size = bits.read(2)?;
            if size == 0 {
                return Some(Ok(()));
            }
            let diff = bits.read(4 * size)? + 1;
            if let Err(error) = self.add_reference(diff) {
                return Some(Err(error));
            }
        }
    }

    /// Chain distances of a frame that differ from its template's.
    pub(super) fn read_chain_diffs(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        for diff in self.chain_diffs.iter_mut().take(usize::from(self.chains)) {
            *diff = bits.read(8)? as u8;
        }
        Some(())
    }
}

/// A template structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyStructure {
    id_offset: u8,
    targets: Vec<DecodeTarget>,
    templates: Vec<Template>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Template {
    layer: FrameLayer,
    relations: Relations,
}

pub(super) fn read_indications(bits: &mut Bits<'_>, targets: u8) -> Option<u64> {
    (0..u32::from(targets)).try_fold(0, |all, target| Some(all | u64::from(bits.read(2)?) << (2 * target)))
}

impl DependencyStructure {
    /// Decode targets by number, 32 at most.
    #[must_use]
    pub fn targets(&self) -> &[DecodeTarget] {
        &self.targets
    }

    /// A bit per decode target.
    #[must_use]
    pub fn all_targets(&self) -> u32 {
        // One to thirty-two of them.
        u32::MAX >> (MAX_TARGETS - self.targets.len().clamp(1, MAX_TARGETS))
    }

    /// Decode targets that are part of the one with these layers, a bit per target.
    #[must_use]
    pub fn targets_within(&self, layer: FrameLayer) -> u32 {
        let within =
            |t: &DecodeTarget| t.layer.spatial <= layer.spatial && t.layer.temporal <= layer.temporal;
        (0..).zip(&self.targets).filter(|(_, t)| within(t)).fold(0, |mask, (i, _): (u32, _)| mask | 1 << i)
    }

    pub(super) fn template(&self, id: u8) -> Option<(FrameLayer, Relations)> {
        let index = (id + 64 - self.id_offset) % 64;
        self.templates.get(usize::from(index)).map(|t| (t.layer, t.relations))
    }

    /// `None` is a truncated structure.
    pub(super) fn read(bits: &mut Bits<'_>) -> Option<Result<Self, DependencyError>> {
        let id_offset = bits.read(6)? as u8;
        let targets = bits.read(5)? as u8 + 1;
        let mut templates = Vec::with_capacity(8);
        let mut layer = FrameLayer { spatial: 0, temporal: 0 };
        loop {
            if templates.len() == MAX_TEMPLATES {
                return Some(Err(DependencyError::Malformed));
            }
            templates.push(Template { layer, relations: Relations::NONE });
            match bits.read(2)? {
                0 => {}
                1 => layer.temporal += 1,
                2 => layer = FrameLayer { spatial: layer.spatial + 1, temporal: 0 },
                _ => break,
            }
            if layer.temporal > 7 || layer.spatial > 3 {
                return Some(Err(DependencyError::Malformed));
            }
        }
        for template in &mut templates {
            template.relations.indications = read_indications(bits, targets)?;
        }
        for template in &mut templates {
            while bits.flag()? {
                let diff = bits.read(4)? + 1;
                if let Err(error) = template.relations.add_reference(diff) {
                    return Some(Err(error));
                }
            }
        }
        let chains = read_chains(bits, targets, &mut templates)?;
        if bits.flag()? {
            for _ in 0..=layer.spatial {
                bits.read(32)?;
            }
        }
        let targets = (0u8..targets).zip(chains).map(|(target, chain)| {
            let shift = 2 * u32::from(target);
            let present = templates.iter().filter(|t| t.relations.indications >> shift & 3 != 0);
            let layer = present.fold(FrameLayer { spatial: 0, temporal: 0 }, |max, t| FrameLayer {
                spatial: max.spatial.max(t.layer.spatial),
                temporal: max.temporal.max(t.layer.temporal),
            });
            DecodeTarget { layer, chain }
        });
        Some(Ok(Self { id_offset, targets: targets.collect(), templates }))
    }
}

/// The chain of every target; the distances go into the templates.
fn read_chains(bits: &mut Bits<'_>, targets: u8, templates: &mut [Template]) -> Option<Vec<Option<u8>>> {
    let chains = bits.non_symmetric(u32::from(targets) + 1)?;
    if chains == 0 {
        return Some(vec![None; usize::from(targets)]);
    }
    let mut protected_by = Vec::with_capacity(usize::from(targets));
    for _ in 0..targets {
        protected_by.push(Some(bits.non_symmetric(chains)? as u8));
    }
    for template in templates {
        template.relations.chains = chains as u8;
        let diffs = &mut template.relations.chain_diffs;
        for diff in diffs.iter_mut().take(chains as usize) {
            *diff = bits.read(4)? as u8;
        }
    }
    Some(protected_by)
}
