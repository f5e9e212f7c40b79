//! mimalloc, asked without an alignment wherever it has that anyway.
//!
//! The crate `mimalloc` asks for an alignment with every allocation. mimalloc has a fast way for that only
//! while a block of just that size is free: others are over-allocated and aligned by hand, which takes
//! some 220 instructions instead of 30. A quarter of the allocations of a request went there.

#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use libmimalloc_sys as mi;
use std::alloc::{GlobalAlloc, Layout};

/// The alignment of all blocks of this size and larger ones; smaller ones are aligned to 8
/// (`MI_MAX_ALIGN_SIZE` of mimalloc, `mi_bin` rounds sizes up to it).
const NATURAL: usize = 16;

/// The allocator of the process.
#[derive(Debug)]
pub struct Allocator;

/// Returns to the kernel what the calling thread has freed and keeps for its next blocks. For threads that have built
/// something large and rest now: mimalloc does it only while a thread frees more.
pub fn give_back() {
    mi_collect(true);
}

unsafe extern "C" {
    /// Of mimalloc.h. The crate has it behind a feature that takes a further crate. It moves no block, and any thread
    /// may call it at any time.
    safe fn mi_collect(force: bool);
}

/// Whether every block of this size is aligned so. The same rule as that of the standard library for
/// `malloc`.
fn is_natural(size: usize, align: usize) -> bool {
    align <= NATURAL && align <= size
}

// SAFETY: blocks are of mimalloc's, which neither moves nor reuses them before they are freed, has them
// as large as it was asked for, and aligned as it was asked for or by `is_natural`. It does not unwind.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size will do; an alignment is a power of two, as `Layout` has it.
        let block = unsafe {
            if is_natural(size, align) {
                mi::mi_malloc(size)
            } else {
                mi::mi_malloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        let block = unsafe {
            if is_natural(size, align) {
                mi::mi_zalloc(size)
            } else {
                mi::mi_zalloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller has it from here, and does not use it any more.
        unsafe { mi::mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller has it from here, and uses only what this returns.
        let block = unsafe {
            if is_natural(size, align) {
                mi::mi_realloc(block.cast(), size)
            } else {
                mi::mi_realloc_aligned(block.cast(), size, align)
            }
        };
        block.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_as_asked_for_and_keep_what_is_in_them() {
        for align in [1, 2, 4, 8, 16, 32, 128, 4096] {
            for size in (1..600).chain([1000, 1023, 1025, 5000, 8191, 70_000, 1 << 20]) {
                let layout = Layout::from_size_align(size, align).expect("small");
                // SAFETY: used within its size, grown and freed by its own layout.
                unsafe {
                    let block = Allocator.alloc(layout);
                    assert_eq!(block as usize % align, 0, "{size} bytes at {align}");
                    block.write_bytes(7, size);
                    let grown = Allocator.realloc(block, layout, size + 33);
                    assert_eq!(grown as usize % align, 0, "{size} bytes at {align}, grown");
                    assert!((0..size).all(|at| *grown.add(at) == 7));
                    let layout = Layout::from_size_align(size + 33, align).expect("small");
                    Allocator.dealloc(grown, layout);
                    let zeroed = Allocator.alloc_zeroed(layout);
                    assert_eq!(zeroed as usize % align, 0, "{size} bytes at {align}, zeroed");
                    assert!((0..size).all(|at| *zeroed.add(at) == 0));
                    Allocator.dealloc(zeroed, layout);
                }
            }
        }
    }
}
