// No console behind the window. Of a debug build it is kept, as one reads there what the app says.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use std::process::ExitCode;

fn main() -> ExitCode {
    voxhall::cli::main()
}
