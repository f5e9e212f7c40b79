//! The `ravelin` binary. Everything is in the library; see its crate page.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ravelin::cli::main(std::env::args_os())
}
