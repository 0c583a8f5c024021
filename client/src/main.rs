use std::process::ExitCode;

fn main() -> ExitCode {
    voxhall::cli::main()
}
