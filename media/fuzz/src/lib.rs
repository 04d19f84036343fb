//! Fuzz entries: one function per parser. Each takes arbitrary bytes, must not panic and checks what must hold for any
//! input. The fuzzer runs them from `fuzz_targets/`, the ordinary tests from `media/tests/fuzz_entries.rs` and
//! `tests/fuzz_entries.rs`.

mod auth;
pub mod media;
pub mod platform;
