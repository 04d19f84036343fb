//! Rebuilds the embedding when the web app changes.

use std::path::Path;

fn main() {
    let dist = Path::new("frontend/dist");
    // An empty folder stands for "not built": the binary then says so at `/`. It must exist, because cargo takes a
    // missing path for a change at every build.
    let _ = std::fs::create_dir_all(dist);
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
}
