//! Hands the arguments to the library and returns its exit code.

fn main() -> std::process::ExitCode {
    keyctl::run(std::env::args_os()).into()
}
