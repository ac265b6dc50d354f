//! The `cefctl` binary: hands the command line to the library and the library's exit code to the caller.

fn main() -> std::process::ExitCode {
    cefctl::host::names::use_built_in_lookups();
    cefctl::cli::main()
}
