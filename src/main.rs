//! The `ravelin` binary. Everything is in the library; see its crate page.

use std::process::ExitCode;

// Chosen by `benches/compare/run --extra`: with the system's allocator a request costs 11 % more CPU
// (1.05 to 1.41 of ours over six rounds). jemalloc is on a par and takes far longer to build.
#[global_allocator]
static ALLOCATOR: ravelin::app::allocator::Allocator = ravelin::app::allocator::Allocator;

fn main() -> ExitCode {
    // The allocator asks for huge pages, and then a buffer that is half used is in memory whole: 134 KiB
    // against 100 for a client that does not read, 32 MiB against 15 at rest. What a request costs stays
    // the same. Where it cannot be had it costs memory alone.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    ravelin::cli::main(std::env::args_os())
}
