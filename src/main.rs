//! `bedrud`: the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    bedrud::cli::main()
}
