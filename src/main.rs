//! The `cefctl` binary: hands the command line to the library and the library's exit code to the caller.

fn main() -> std::process::ExitCode {
    cefctl::cli::main()
}
