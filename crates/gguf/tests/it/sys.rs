//! An allocator that remembers the largest piece each thread asked for.
#![expect(unsafe_code, reason = "a global allocator is unsafe by nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// The largest piece, in bytes.
    pub(crate) static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, watched.
#[derive(Debug)]
pub(crate) struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

fn watch(size: usize) {
    // A thread that is ending has no cell any more.
    let _watched = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: Every method passes its arguments on to the system's allocator unchanged and returns what
// that returns; watching touches a constant-initialised thread-local without a destructor, which
// neither allocates nor unwinds.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        watch(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        watch(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        watch(size);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}
