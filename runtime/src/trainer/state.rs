//! The state tensors of a program in the device's memory.

use std::collections::HashMap;

use ort::memory::Allocator;

use super::buffer::Buffer;
use super::element::Element;
use super::program::{Initial, Program, StateKind, StateTensor};
use super::tensor::Tensor;
use crate::bundle::read_at;
use crate::error::{Error, Result};

/// One state tensor. Procedures read the buffer that is current and write the other
/// one, which then becomes current; a tensor that no procedure writes has one.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) element: Element,
    pub(super) dims: Vec<usize>,
    pub(super) kind: StateKind,
    current: Buffer,
    other: Option<Buffer>,
    /// Which of the two was made first is current.
    pub(super) first: bool,
}

impl Slot {
    fn new(state: &StateTensor, written: bool, allocator: &Allocator) -> Result<Self> {
        let named = |error: Error| match error {
            Error::OutOfMemory { message, .. } => Error::OutOfMemory {
                what: format!(
                    "the state tensor `{}` {} {:?}",
                    state.name, state.element, state.dims
                ),
                message,
            },
            other => other,
        };
        let new = || Buffer::new(allocator, state.element, &state.dims).map_err(named);
        let mut current = new()?;
        current.fill(|out| match &state.initial {
            Initial::Zeros => {
                out.fill(0);
                Ok(())
            }
            Initial::Bytes(bytes) if bytes.len() == out.len() => {
                out.copy_from_slice(bytes);
                Ok(())
            }
            Initial::Bytes(bytes) => Err(Error::Argument(format!(
                "the first value of `{}` has {} bytes, not {}",
                state.name,
                bytes.len(),
                out.len()
            ))),
            Initial::Stored { file, offset } => read_at(&mut &**file, *offset, out)
                .map_err(|e| Error::io("read", super::manifest::STATE, e)),
        })?;
        Ok(Self {
            name: state.name.clone(),
            element: state.element,
            dims: state.dims.clone(),
            kind: state.kind,
            current,
            other: if written { Some(new()?) } else { None },
            first: true,
        })
    }

    pub(super) fn current(&self) -> &Buffer {
        &self.current
    }

    pub(super) fn current_mut(&mut self) -> &mut Buffer {
        &mut self.current
    }

    pub(super) fn other(&self) -> Option<&Buffer> {
        self.other.as_ref()
    }

    pub(super) fn other_mut(&mut self) -> Option<&mut Buffer> {
        self.other.as_mut()
    }

    /// Makes the buffer that was written the current one.
    pub(super) fn swap(&mut self) {
        if let Some(other) = &mut self.other {
            std::mem::swap(&mut self.current, other);
            self.first = !self.first;
        }
    }

    pub(super) fn tensor(&self) -> Result<Tensor<'static>> {
        Tensor::from_bytes(self.element, &self.dims, &self.current.bytes()?)
    }
}

/// All state tensors of a program.
#[derive(Debug)]
pub(super) struct State {
    slots: Vec<Slot>,
    index: HashMap<String, usize>,
}

impl State {
    pub(super) fn new(program: &Program, allocator: &Allocator) -> Result<Self> {
        let written: std::collections::HashSet<&str> = program
            .procedures
            .iter()
            .flat_map(|procedure| procedure.state_outputs.iter().map(|(_, state)| state.as_str()))
            .collect();
        let mut slots = Vec::with_capacity(program.state.len());
        for state in &program.state {
            slots.push(Slot::new(state, written.contains(state.name.as_str()), allocator)?);
        }
        let index = slots.iter().enumerate().map(|(i, slot)| (slot.name.clone(), i)).collect();
        Ok(Self { slots, index })
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn get(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.slots.get_mut(index)
    }

    /// Makes the buffers that were written the current ones, of every tensor that a
    /// procedure writes.
    pub(super) fn swap_all(&mut self) {
        self.slots.iter_mut().for_each(Slot::swap);
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    pub(super) fn find(&self, name: &str) -> Result<usize> {
        self.index(name).ok_or_else(|| {
            let near = self.slots.iter().map(|slot| slot.name.as_str()).take(8);
            Error::Argument(format!(
                "there is no state tensor `{name}`; there are {} ({})",
                self.slots.len(),
                near.collect::<Vec<_>>().join(", ")
            ))
        })
    }
}

/// Whether a buffer of floating-point numbers holds one that is not finite.
pub(super) fn is_finite(slot: &Slot, buffer: &Buffer) -> Result<bool> {
    if !slot.element.is_float() {
        return Ok(true);
    }
    let bytes = buffer.bytes()?;
    // A floating-point number is not finite when all bits of its exponent are set.
    Ok(match slot.element {
        Element::Float32 => bytes.as_chunks().0.iter().all(|&b| f32::from_le_bytes(b).is_finite()),
        Element::Float64 => bytes.as_chunks().0.iter().all(|&b| f64::from_le_bytes(b).is_finite()),
        Element::Float16 => {
            bytes.as_chunks().0.iter().all(|&b| u16::from_le_bytes(b) & 0x7c00 != 0x7c00)
        }
        _ => bytes.as_chunks().0.iter().all(|&b| u16::from_le_bytes(b) & 0x7f80 != 0x7f80),
    })
}
