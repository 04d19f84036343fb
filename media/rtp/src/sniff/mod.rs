//! The few payload bits a forwarder needs: where frames and key frames start, which layer a packet belongs to.

mod vp8;

pub use vp8::{Vp8Descriptor, Vp8Patch};

