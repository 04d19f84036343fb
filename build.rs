//! Rebuilds what is embedded when it changes: the web app and the migrations.

use std::path::Path;

fn main() {
    let dist = Path::new("frontend/dist");
    // An empty folder stands for "not built": the binary then says so at `/`. It must exist, because cargo takes a
    // missing path for a change at every build.
    let _ = std::fs::create_dir_all(dist);
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=build.rs");
}
