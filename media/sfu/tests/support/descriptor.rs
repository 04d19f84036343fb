//! Writes dependency descriptors of three spatial and three temporal layers.

/// Bits, most significant first.
#[derive(Default)]
pub struct BitWriter(Vec<bool>);

impl BitWriter {
    pub fn put(&mut self, n: u32, value: u32) -> &mut Self {
        self.0.extend((0..n).rev().map(|i| value >> i & 1 != 0));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let byte = |c: &[bool]| c.iter().enumerate().fold(0, |b, (i, on)| b | u8::from(*on) << (7 - i));
        self.0.chunks(8).map(byte).collect()
    }
}

/// Layers a structure has of each kind; as many chains as spatial layers.
pub const LAYERS: u8 = 3;
/// Decode targets, `3 * spatial + temporal`.
pub const TARGETS: u8 = LAYERS * LAYERS;

/// One frame of one layer.
#[derive(Debug, Clone)]
pub struct LayerFrame {
    pub number: u32,
    pub spatial: u8,
    pub temporal: u8,
    /// Its picture starts over.
    pub key: bool,
    pub references: Vec<u32>,
    /// Distance to the frame before in each chain, 0 for none.
    pub chain_diffs: [u8; LAYERS as usize],
    /// Upper layers are predicted from lower ones in key pictures only.
    pub key_mode: bool,
    /// Spatial layers being sent.
    pub active: u8,
    pub tell_active: bool,
    pub id_offset: u8,
}

impl LayerFrame {
    /// Two bits: not present, discardable, switch, required.
    fn indication(&self, target: u8, key: bool) -> u32 {
        let (spatial, temporal) = (target / LAYERS, target % LAYERS);
        let part = if self.key_mode && !key { self.spatial == spatial } else { self.spatial <= spatial };
        match (part && self.temporal <= temporal, self.temporal) {
            (false, _) => 0,
            (true, 0) => 2,
            (true, _) => 3,
        }
    }

    pub fn mask(&self) -> u32 {
        (1 << (self.active * LAYERS)) - 1
    }

    pub fn descriptor(&self, start: bool, end: bool) -> Vec<u8> {
        let structure = self.key && self.spatial == 0 && start;
        let template = (self.id_offset + self.spatial * LAYERS + self.temporal) % 64;
        let tell = self.tell_active || structure && self.active < LAYERS;
        let mut w = BitWriter::default();
        w.put(1, u32::from(start)).put(1, u32::from(end)).put(6, u32::from(template)).put(16, self.number);
        w.put(1, u32::from(structure)).put(1, u32::from(tell)).put(1, u32::from(self.key)).put(2, 0b11);
        if structure {
            self.structure(&mut w);
        }
        if tell {
            w.put(u32::from(TARGETS), self.mask());
        }
        if self.key {
            for target in 0..TARGETS {
                w.put(2, self.indication(target, true));
            }
        }
        for reference in &self.references {
            w.put(2, 2).put(8, self.number - reference - 1);
        }
        w.put(2, 0);
        for diff in self.chain_diffs {
            w.put(8, u32::from(diff));
        }
        w.bytes()
    }

    fn structure(&self, w: &mut BitWriter) {
        w.put(6, u32::from(self.id_offset)).put(5, u32::from(TARGETS) - 1);
        for next in [1, 1, 2, 1, 1, 2, 1, 1, 3] {
            w.put(2, next);
        }
        for template in 0..TARGETS {
            let of = Self { spatial: template / LAYERS, temporal: template % LAYERS, ..self.clone() };
            for target in 0..TARGETS {
                w.put(2, of.indication(target, false));
            }
        }
        // References of the templates: none, every frame tells its own.
        w.put(u32::from(TARGETS), 0);
        // Three chains as ns(10): four bits wide, six short codes of three bits.
        w.put(3, u32::from(LAYERS));
        for target in 0..TARGETS {
            // ns(3): 0 is one bit, 1 and 2 are two.
            match target / LAYERS {
                0 => w.put(1, 0),
                chain => w.put(2, u32::from(chain) + 1),
            };
        }
        for _ in 0..TARGETS * LAYERS {
            w.put(4, 1);
        }
        w.put(1, 1);
        for height in [180, 360, 720] {
            w.put(16, height * 16 / 9 - 1).put(16, height - 1);
        }
    }
}
