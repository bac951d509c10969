//! Gives memory that was freed back to the system.

/// Tokens of a batch from which on what its layers computed is worth giving back.
const LARGE: usize = 256;

/// Gives freed memory back when the largest batch had `tokens` tokens and so left
/// much of it. Short texts are not slowed down by it.
pub(super) fn trim_after(tokens: usize) {
    if tokens >= LARGE {
        trim();
    }
}

/// Gives freed memory back to the system. glibc keeps what it gets; other
/// allocators give large blocks back by themselves.
pub(super) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes no pointer and may be called at any time, from
    // any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
