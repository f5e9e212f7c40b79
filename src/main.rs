//! The `ravelin` binary. Everything is in the library; see its crate page.

use std::process::ExitCode;

// Chosen by `benches/compare/run --extra`: with the system's allocator a request costs 11 % more CPU
// (1.05 to 1.41 of ours over six rounds). jemalloc is on a par and takes far longer to build.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ravelin::cli::main(std::env::args_os())
}
