//! The platform's demultiplexer.
#![allow(dead_code)]

#[path = "../../../src/server/sniff.rs"]
pub mod sniff;
