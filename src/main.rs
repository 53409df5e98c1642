//! The program: parse the command line, run the command, report how it ended.

use std::process::ExitCode;

fn main() -> ExitCode {
    everpost::cli::run()
}
