//! Dependency descriptor (AV1 RTP specification appendix A): frame bounds and layers by template.

use super::bits::Bits;

/// Most decode targets (5-bit count).
const MAX_TARGETS: u32 = 32;
/// Most templates (6-bit id).
const MAX_TEMPLATES: usize = 64;

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

/// Layer of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// A parsed descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyDescriptor {
    /// First packet of the frame.
    pub frame_start: bool,
    /// Last packet of the frame.
    pub frame_end: bool,
    /// Template id as sent, 0..64.
    pub template_id: u8,
    /// Frame number, wraps.
    pub frame_number: u16,
    /// A template structure came with this packet: it starts a coded video sequence, a key frame.
    pub structure_attached: bool,
    /// Active decode targets, bit per target, when sent.
    pub active_targets: Option<u32>,
    /// Layer, unknown until a structure that has the template was seen.
    pub layer: Option<FrameLayer>,
    targets: u8,
    indications: u64,
}

impl DependencyDescriptor {
    /// What the frame is for a decode target; `None` for targets that do not exist or while the structure is
    /// unknown.
    #[must_use]
    pub fn indication(&self, target: u8) -> Option<Indication> {
        if target >= self.targets {
            return None;
        }
        Some(match self.indications >> (2 * u32::from(target)) & 3 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        })
    }
}

/// Reads the descriptors of one stream; remembers the last template structure. Allocates only when one arrives.
#[derive(Debug, Clone, Default)]
pub struct DependencyReader {
    structure: Option<Structure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Structure {
    id_offset: u8,
    targets: u8,
    templates: Vec<Template>,
    target_layers: Vec<FrameLayer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Template {
    layer: FrameLayer,
    indications: u64,
}

impl DependencyReader {
    /// A reader that knows no structure yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Highest layers of a decode target of the current structure.
    #[must_use]
    pub fn target_layer(&self, target: u8) -> Option<FrameLayer> {
        self.structure.as_ref()?.target_layers.get(usize::from(target)).copied()
    }

    /// Reads one descriptor. A structure is remembered when the whole descriptor is right.
    ///
    /// # Errors
    /// [`DependencyError`]; the remembered structure is then unchanged.
    pub fn read(&mut self, bytes: &[u8]) -> Result<DependencyDescriptor, DependencyError> {
        let mut attached = None;
        let dd = read(bytes, self.structure.as_ref(), &mut attached).ok_or(DependencyError::Truncated)??;
        if attached.is_some() {
            self.structure = attached;
        }
        Ok(dd)
    }
}

/// `None` is a truncated descriptor.
fn read(
    bytes: &[u8],
    known: Option<&Structure>,
    attached: &mut Option<Structure>,
) -> Option<Result<DependencyDescriptor, DependencyError>> {
    let mut bits = Bits::new(bytes);
    let mut dd = DependencyDescriptor {
        frame_start: bits.flag()?,
        frame_end: bits.flag()?,
        template_id: bits.read(6)? as u8,
        frame_number: bits.read(16)? as u16,
        structure_attached: false,
        active_targets: None,
        layer: None,
        targets: 0,
        indications: 0,
    };
    let (mut active_present, mut custom_indications) = (false, false);
    if bytes.len() > 3 {
        dd.structure_attached = bits.flag()?;
        active_present = bits.flag()?;
        custom_indications = bits.flag()?;
        let _custom_frame_differences = bits.flag()?;
        let _custom_chains = bits.flag()?;
        if dd.structure_attached {
            match read_structure(&mut bits)? {
                Ok(structure) => *attached = Some(structure),
                Err(error) => return Some(Err(error)),
            }
        }
    }
    let Some(structure) = attached.as_ref().or(known) else { return Some(Ok(dd)) };
    dd.targets = structure.targets;
    if active_present {
        dd.active_targets = Some(bits.read(u32::from(structure.targets))?);
    } else if dd.structure_attached {
        dd.active_targets = Some(u32::MAX >> (MAX_TARGETS - u32::from(structure.targets)));
    }
    let index = (dd.template_id + 64 - structure.id_offset) % 64;
    let Some(template) = structure.templates.get(usize::from(index)) else {
        // A template of a structure this reader missed.
        return Some(if dd.structure_attached { Err(DependencyError::Malformed) } else { Ok(dd) });
    };
    dd.layer = Some(template.layer);
    dd.indications =
        if custom_indications { read_indications(&mut bits, dd.targets)? } else { template.indications };
    Some(Ok(dd))
}

fn read_indications(bits: &mut Bits<'_>, targets: u8) -> Option<u64> {
    (0..u32::from(targets)).try_fold(0, |all, target| Some(all | u64::from(bits.read(2)?) << (2 * target)))
}

fn read_structure(bits: &mut Bits<'_>) -> Option<Result<Structure, DependencyError>> {
    let id_offset = bits.read(6)? as u8;
    let targets = bits.read(5)? as u8 + 1;
    let mut templates = Vec::with_capacity(8);
    let mut layer = FrameLayer { spatial: 0, temporal: 0 };
    loop {
        if templates.len() == MAX_TEMPLATES {
            return Some(Err(DependencyError::Malformed));
        }
        templates.push(Template { layer, indications: 0 });
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
        template.indications = read_indications(bits, targets)?;
    }
    for _ in &templates {
        while bits.flag()? {
            bits.read(4)?;
        }
    }
    let chains = bits.non_symmetric(u32::from(targets) + 1)?;
    if chains > 0 {
        for _ in 0..targets {
            bits.non_symmetric(chains)?;
        }
        for _ in 0..templates.len() {
            for _ in 0..chains {
                bits.read(4)?;
            }
        }
    }
    if bits.flag()? {
        for _ in 0..=layer.spatial {
            bits.read(32)?;
        }
    }
    let target_layers = (0..targets)
        .map(|target| {
            let present = templates.iter().filter(|t| t.indications >> (2 * u32::from(target)) & 3 != 0);
            present.fold(FrameLayer { spatial: 0, temporal: 0 }, |max, t| FrameLayer {
                spatial: max.spatial.max(t.layer.spatial),
                temporal: max.temporal.max(t.layer.temporal),
            })
        })
        .collect();
    Some(Ok(Structure { id_offset, targets, templates, target_layers }))
}

#[cfg(test)]
mod tests;
