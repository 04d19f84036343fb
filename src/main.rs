//! `bedrud`: the command line.

fn main() {}
