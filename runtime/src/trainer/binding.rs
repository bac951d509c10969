//! Inputs and outputs of a session, bound to memory once and used for many runs.

use std::ffi::{CStr, CString, c_char};
use std::ptr::{self, NonNull};

use ort::AsPointer;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::{IoBinding, NoSelectedOutputs, RunOptions, Session};
use ort::sys::{OrtStatusPtr, OrtValue};
use ort::value::{DynValue, Value};

use super::buffer::Buffer;
use crate::error::{Error, Result, engine};

/// A session's inputs and outputs with the memory that they use.
///
/// Outputs that are returned are bound first, to memory that the engine allocates anew
/// at each run; then the state, to buffers that stay.
#[derive(Debug)]
pub(super) struct Binding {
    inner: IoBinding,
    returned: Vec<CString>,
    host: MemoryInfo<'static>,
    allocator: Allocator,
}

impl Binding {
    /// A binding of `session` that returns the outputs `returned` in the host's memory.
    pub(super) fn new(session: &Session, returned: &[CString]) -> Result<Self> {
        let act = engine("bind outputs");
        let mut binding = Self {
            inner: session.create_binding().map_err(act)?,
            returned: returned.to_vec(),
            host: MemoryInfo::default(),
            allocator: Allocator::default(),
        };
        binding.bind_returned()?;
        Ok(binding)
    }

    /// Binds an input to a buffer. Where the session wants the input in other memory
    /// than the buffer's, this copies: then it is to be done before every run.
    pub(super) fn bind_input(&mut self, name: &str, buffer: &Buffer) -> Result<()> {
        self.inner.bind_input(name, buffer.tensor()).map_err(engine("bind an input"))
    }

    /// Binds an output to a buffer.
    pub(super) fn bind_output(&mut self, name: &str, buffer: &mut Buffer) -> Result<()> {
        self.inner.bind_output(name, buffer.tensor_mut()).map_err(engine("bind an output"))
    }

    /// Runs the session with `data`, which must be the same inputs each time, and
    /// returns the outputs that are returned, in the order given to [`Self::new`].
    pub(super) fn run(
        &mut self,
        session: &mut Session,
        data: &[(&CStr, &DynValue)],
        options: Option<&RunOptions<NoSelectedOutputs>>,
    ) -> Result<Vec<DynValue>> {
        for &(name, value) in data {
            // SAFETY: binding, name and value are alive. The engine takes a reference to
            // the value's memory, which it reads in the run below only: later runs come
            // through here too and bind this input again before.
            check(unsafe {
                (ort::api().BindInput)(self.inner.ptr().cast_mut(), name.as_ptr(), value.ptr())
            })?;
        }
        // Else the engine would write to the memory of the outputs returned before.
        self.bind_returned()?;
        // SAFETY: session and binding are alive, the binding is one of this session's,
        // and `session` is borrowed mutably, so that nobody else runs it.
        check(unsafe {
            let options = options.map_or(ptr::null(), |options| options.ptr());
            (ort::api().RunWithBinding)(
                session.ptr().cast_mut(),
                options,
                self.inner.ptr().cast_mut(),
            )
        })?;
        self.values()
    }

    fn bind_returned(&mut self) -> Result<()> {
        for name in &self.returned {
            // SAFETY: binding, name and memory description are alive.
            check(unsafe {
                let name: *const c_char = name.as_ptr();
                (ort::api().BindOutputToDevice)(self.inner.ptr().cast_mut(), name, self.host.ptr())
            })?;
        }
        Ok(())
    }

    /// The returned outputs of the last run.
    fn values(&self) -> Result<Vec<DynValue>> {
        let mut values: *mut *mut OrtValue = ptr::null_mut();
        let mut count = 0;
        // SAFETY: binding and allocator are alive; the engine writes an array of `count`
        // values that it allocates with this allocator, and both become the caller's.
        check(unsafe {
            (ort::api().GetBoundOutputValues)(
                self.inner.ptr().cast_mut(),
                self.allocator.ptr().cast_mut(),
                &raw mut values,
                &raw mut count,
            )
        })?;
        let mut returned = Vec::with_capacity(self.returned.len());
        for index in 0..count {
            // SAFETY: the array has `count` values. Each is made into one that releases
            // itself, or released, once.
            unsafe {
                let value = *values.add(index);
                match NonNull::new(value) {
                    Some(value) if index < self.returned.len() => {
                        returned.push(Value::from_ptr(value, Some(&self.allocator)));
                    }
                    _ => (ort::api().ReleaseValue)(value),
                }
            }
        }
        if !values.is_null() {
            // SAFETY: the array came from this allocator and is not used any more.
            unsafe { self.allocator.free(values) };
        }
        match returned.len() == self.returned.len() {
            true => Ok(returned),
            false => Err(Error::Engine {
                action: "return outputs",
                message: format!("{} came instead of {}", returned.len(), self.returned.len()),
            }),
        }
    }
}

fn check(status: OrtStatusPtr) -> Result<()> {
    // SAFETY: the status came from the engine just now and is used once.
    unsafe { ort::Error::result_from_status(status) }.map_err(engine("run a procedure"))
}
