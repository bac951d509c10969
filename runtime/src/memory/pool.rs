//! The allocator that ONNX Runtime is given.

use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::sys::{OrtAllocator, OrtMemoryInfo};

/// Space before a block, which holds its [`Header`]. Also the alignment of blocks,
/// which the widest vector instructions want.
const HEADER: usize = 64;

/// Blocks of this size and more are mapped; smaller ones are the system
/// allocator's.
const MAPPED: usize = 64 << 10;

/// What stands before every block.
#[repr(C)]
struct Header {
    /// Size of the block with its header, in bytes: of the mapping from
    /// [`MAPPED`] on.
    size: usize,
}

/// A mapping that nobody uses.
struct Free(NonNull<u8>);

// SAFETY: an unused mapping belongs to whoever holds it, on any thread.
unsafe impl Send for Free {}

/// Unused mappings by their size.
static FREE: Mutex<BTreeMap<usize, Vec<Free>>> = Mutex::new(BTreeMap::new());

fn free_list() -> MutexGuard<'static, BTreeMap<usize, Vec<Free>>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The size that is mapped for a block: the next of eight steps between two powers
/// of two, so that blocks of nearly one size serve each other.
fn mapped_size(size: usize) -> Option<usize> {
    let step = size.checked_next_power_of_two()? / 8;
    size.checked_next_multiple_of(step.max(4096))
}

fn allocate(size: usize) -> Option<NonNull<u8>> {
    let whole = size.checked_add(HEADER)?;
    let (base, whole) = if whole < MAPPED {
        let layout = Layout::from_size_align(whole, HEADER).ok()?;
        // SAFETY: the layout's size is at least `HEADER`.
        (NonNull::new(unsafe { std::alloc::alloc(layout) })?, whole)
    } else {
        let whole = mapped_size(whole)?;
        let kept = free_list().get_mut(&whole).and_then(Vec::pop);
        (kept.map_or_else(|| map(whole), |free| Some(free.0))?, whole)
    };
    // SAFETY: `base` has room for the header and more, and is aligned to `HEADER`.
    unsafe {
        base.cast::<Header>().write(Header { size: whole });
        Some(base.add(HEADER))
    }
}

/// Takes back a block of [`allocate`].
///
/// # Safety
/// `block` came from [`allocate`] and was not taken back since.
unsafe fn release(block: NonNull<u8>) {
    // SAFETY: a header stands before every block.
    let (base, size) = unsafe {
        let base = block.sub(HEADER);
        (base, base.cast::<Header>().read().size)
    };
    if size < MAPPED {
        // SAFETY: this layout was valid when the block was allocated with it.
        unsafe {
            std::alloc::dealloc(base.as_ptr(), Layout::from_size_align_unchecked(size, HEADER));
        }
    } else {
        free_list().entry(size).or_default().push(Free(base));
    }
}

fn map(size: usize) -> Option<NonNull<u8>> {
    // SAFETY: a new private mapping at an address of the system's choice touches
    // nothing that exists.
    let base = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED { None } else { NonNull::new(base.cast()) }
}

/// Unmaps everything that is not in use.
pub(super) fn trim() {
    let unused = std::mem::take(&mut *free_list());
    for (size, mappings) in unused {
        for Free(base) in mappings {
            // SAFETY: the mapping is `size` bytes from `base`, and nobody uses it.
            unsafe {
                libc::munmap(base.as_ptr().cast(), size);
            }
        }
    }
}

/// The C interface and the memory that it says it is.
#[repr(C)]
struct Interface {
    /// First, since ONNX Runtime passes this pointer back.
    allocator: OrtAllocator,
    info: MemoryInfo<'static>,
}

// SAFETY: nothing in it changes after it was made.
unsafe impl Send for Interface {}
// SAFETY: as above.
unsafe impl Sync for Interface {}

static INTERFACE: OnceLock<Option<Interface>> = OnceLock::new();

unsafe extern "system" fn alloc(_: *mut OrtAllocator, size: usize) -> *mut c_void {
    allocate(size).map_or(ptr::null_mut(), |block| block.as_ptr().cast())
}

unsafe extern "system" fn reserve(_: *const OrtAllocator, size: usize) -> *mut c_void {
    allocate(size).map_or(ptr::null_mut(), |block| block.as_ptr().cast())
}

unsafe extern "system" fn free(_: *mut OrtAllocator, block: *mut c_void) {
    if let Some(block) = NonNull::new(block.cast()) {
        // SAFETY: ONNX Runtime gives back, once, what it was given.
        unsafe { release(block) };
    }
}

unsafe extern "system" fn info(this: *const OrtAllocator) -> *const OrtMemoryInfo {
    // SAFETY: ONNX Runtime passes the pointer that it was given, to the first field
    // of an `Interface` that lives as long as the process.
    unsafe { (*this.cast::<Interface>()).info.ptr() }
}

fn interface() -> Option<Interface> {
    let info =
        MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)
            .ok()?;
    // SAFETY: the default has no functions; all that ONNX Runtime needs are set here.
    let mut allocator = unsafe { OrtAllocator::default() };
    allocator.Alloc = Some(alloc);
    allocator.Free = Some(free);
    allocator.Info = Some(self::info);
    allocator.Reserve = Some(reserve);
    Some(Interface { allocator, info })
}

/// Makes this the allocator of `environment`'s sessions that ask for it.
pub(super) fn register(environment: &Environment) -> bool {
    let Some(interface) = INTERFACE.get_or_init(interface) else { return false };
    let allocator = ptr::from_ref(&interface.allocator).cast_mut();
    // SAFETY: the environment is alive, and the allocator lives as long as the
    // process and is never changed through this pointer.
    let status = unsafe {
        let status = (ort::api().RegisterAllocator)(environment.ptr().cast_mut(), allocator);
        ort::Error::result_from_status(status)
    };
    status.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_waste_at_most_an_eighth() {
        for size in [MAPPED, 100_000, 1 << 20, (1 << 20) + 1, 123_456_789] {
            let mapped = mapped_size(size).unwrap();
            assert!(mapped >= size && mapped - size <= size / 4, "{size}: {mapped}");
        }
        assert_eq!(mapped_size(usize::MAX), None);
        assert!(allocate(usize::MAX).is_none());
    }

    #[test]
    fn blocks_are_aligned_apart_and_writable() {
        let mut blocks = Vec::new();
        for round in 0..3u8 {
            for size in [0, 1, 63, 4096, MAPPED - HEADER, MAPPED, 3 << 20] {
                let block = allocate(size).unwrap();
                assert_eq!(block.as_ptr() as usize % HEADER, 0);
                // SAFETY: the block is new and `size` bytes long.
                unsafe { block.as_ptr().write_bytes(round, size) };
                blocks.push((block, size, round));
            }
            for (block, size, round) in &blocks {
                // SAFETY: the block is alive and was written above.
                let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), *size) };
                assert!(bytes.iter().all(|byte| byte == round));
            }
            if round == 1 {
                for (block, ..) in blocks.drain(..) {
                    // SAFETY: each block is given back once.
                    unsafe { release(block) };
                }
                trim();
            }
        }
        for (block, ..) in blocks {
            // SAFETY: each block is given back once.
            unsafe { release(block) };
        }
    }
}
