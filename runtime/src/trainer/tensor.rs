//! Tensors in the process's memory: what goes into a procedure and comes out of it.

use half::{bf16, f16};
use ndarray::{Array, ArrayD, ArrayView, ArrayViewD, CowArray, Dimension, IxDyn, arr0};

use super::element::Element;
use crate::error::{Error, Result};

/// A tensor in the process's memory, borrowed or owned.
///
/// Made from arrays and views of any rank, and from single numbers:
///
/// ```
/// use ndarray::array;
/// use offshoot::trainer::{Element, Tensor};
///
/// let ids = array![[1i64, 2], [3, 4]];
/// let borrowed = Tensor::from(&ids);
/// assert_eq!((borrowed.element(), borrowed.dims()), (Element::Int64, &[2, 2][..]));
/// assert_eq!(Tensor::from(0.5f32).scalar()?, 0.5);
/// # Ok::<(), offshoot::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Tensor<'a> {
    /// 32-bit floating point.
    Float32(CowArray<'a, f32, IxDyn>),
    /// 64-bit floating point.
    Float64(CowArray<'a, f64, IxDyn>),
    /// IEEE half precision.
    Float16(CowArray<'a, f16, IxDyn>),
    /// The upper half of a 32-bit float.
    Bfloat16(CowArray<'a, bf16, IxDyn>),
    /// 64-bit integers.
    Int64(CowArray<'a, i64, IxDyn>),
    /// 32-bit integers.
    Int32(CowArray<'a, i32, IxDyn>),
    /// Signed bytes.
    Int8(CowArray<'a, i8, IxDyn>),
    /// Unsigned bytes.
    Uint8(CowArray<'a, u8, IxDyn>),
    /// Truth values.
    Bool(CowArray<'a, bool, IxDyn>),
}

/// Does `$body` with `$array` bound to the array, whatever its type.
macro_rules! each {
    ($tensor:expr, $array:ident => $body:expr) => {
        match $tensor {
            Tensor::Float32($array) => $body,
            Tensor::Float64($array) => $body,
            Tensor::Float16($array) => $body,
            Tensor::Bfloat16($array) => $body,
            Tensor::Int64($array) => $body,
            Tensor::Int32($array) => $body,
            Tensor::Int8($array) => $body,
            Tensor::Uint8($array) => $body,
            Tensor::Bool($array) => $body,
        }
    };
}
pub(super) use each;

/// A type of numbers that a [`Tensor`] may hold.
pub trait Number: sealed::Number {}

mod sealed {
    use super::{CowArray, Element, IxDyn, Tensor};

    pub trait Number: Copy + 'static {
        const ELEMENT: Element;
        fn wrap(array: CowArray<'_, Self, IxDyn>) -> Tensor<'_>;
        fn array<'t>(tensor: &'t Tensor<'_>) -> Option<&'t CowArray<'t, Self, IxDyn>>;
        fn little_endian(values: impl Iterator<Item = Self>, out: &mut Vec<u8>);
        fn read(bytes: &[u8]) -> Vec<Self>;
    }
}
use sealed::Number as Sealed;

macro_rules! numbers {
    ($($number:ty, $variant:ident, $bytes:literal, $to:expr, $from:expr;)*) => { $(
        impl Number for $number {}
        impl Sealed for $number {
            const ELEMENT: Element = Element::$variant;
            fn wrap(array: CowArray<'_, Self, IxDyn>) -> Tensor<'_> {
                Tensor::$variant(array)
            }
            fn array<'t>(tensor: &'t Tensor<'_>) -> Option<&'t CowArray<'t, Self, IxDyn>> {
                match tensor {
                    Tensor::$variant(array) => Some(array),
                    _ => None,
                }
            }
            fn little_endian(values: impl Iterator<Item = Self>, out: &mut Vec<u8>) {
                let to: fn(Self) -> [u8; $bytes] = $to;
                out.extend(values.flat_map(to));
            }
            fn read(bytes: &[u8]) -> Vec<Self> {
                let from: fn([u8; $bytes]) -> Self = $from;
                bytes.as_chunks::<$bytes>().0.iter().map(|&bytes| from(bytes)).collect()
            }
        }
        impl From<$number> for Tensor<'_> {
            fn from(value: $number) -> Self {
                Self::$variant(arr0(value).into_dyn().into())
            }
        }
    )* };
}

numbers! {
    f32, Float32, 4, f32::to_le_bytes, f32::from_le_bytes;
    f64, Float64, 8, f64::to_le_bytes, f64::from_le_bytes;
    f16, Float16, 2, f16::to_le_bytes, f16::from_le_bytes;
    bf16, Bfloat16, 2, bf16::to_le_bytes, bf16::from_le_bytes;
    i64, Int64, 8, i64::to_le_bytes, i64::from_le_bytes;
    i32, Int32, 4, i32::to_le_bytes, i32::from_le_bytes;
    i8, Int8, 1, i8::to_le_bytes, i8::from_le_bytes;
    u8, Uint8, 1, u8::to_le_bytes, u8::from_le_bytes;
    bool, Bool, 1, |v| [u8::from(v)], |[v]| v != 0;
}

impl<T: Number, D: Dimension> From<Array<T, D>> for Tensor<'_> {
    fn from(array: Array<T, D>) -> Self {
        T::wrap(array.into_dyn().into())
    }
}

impl<'a, T: Number, D: Dimension> From<&'a Array<T, D>> for Tensor<'a> {
    fn from(array: &'a Array<T, D>) -> Self {
        T::wrap(array.view().into_dyn().into())
    }
}

impl<'a, T: Number, D: Dimension> From<ArrayView<'a, T, D>> for Tensor<'a> {
    fn from(view: ArrayView<'a, T, D>) -> Self {
        T::wrap(view.into_dyn().into())
    }
}

impl<'a> From<&'a Tensor<'_>> for Tensor<'a> {
    fn from(tensor: &'a Tensor<'_>) -> Self {
        each!(tensor, array => Sealed::wrap(array.view().into()))
    }
}

impl Tensor<'_> {
    /// Type of the elements.
    pub fn element(&self) -> Element {
        fn of<T: Sealed>(_: &CowArray<'_, T, IxDyn>) -> Element {
            T::ELEMENT
        }
        each!(self, array => of(array))
    }

    /// Dimensions, outermost first; none for a single number.
    pub fn dims(&self) -> &[usize] {
        each!(self, array => array.shape())
    }

    /// The elements, when they are of the type `T`.
    ///
    /// # Errors
    /// [`Error::Argument`] when they are of another type.
    pub fn array<T: Number>(&self) -> Result<ArrayViewD<'_, T>> {
        T::array(self).map(|array| array.view()).ok_or_else(|| {
            Error::Argument(format!("the tensor holds {}, not {}", self.element(), T::ELEMENT))
        })
    }

    /// The only element of a floating-point tensor, as a 32-bit float.
    ///
    /// # Errors
    /// [`Error::Argument`] for another type, or another number of elements.
    pub fn scalar(&self) -> Result<f32> {
        let mut values = self.floats().ok_or_else(|| {
            Error::Argument(format!("the tensor holds {}, not floating point", self.element()))
        })?;
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value as f32),
            _ => Err(Error::Argument(format!(
                "a tensor of the dimensions {:?} is not a single number",
                self.dims()
            ))),
        }
    }

    /// The elements as 64-bit floats; `None` when they are integers.
    pub(super) fn floats(&self) -> Option<Box<dyn Iterator<Item = f64> + '_>> {
        Some(match self {
            Self::Float32(a) => Box::new(a.iter().map(|&v| f64::from(v))),
            Self::Float64(a) => Box::new(a.iter().copied()),
            Self::Float16(a) => Box::new(a.iter().map(|v| v.to_f64())),
            Self::Bfloat16(a) => Box::new(a.iter().map(|v| v.to_f64())),
            _ => return None,
        })
    }

    /// The same tensor, borrowed.
    pub fn view(&self) -> Tensor<'_> {
        each!(self, array => Sealed::wrap(CowArray::from(array.view())))
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> Tensor<'static> {
        each!(self, array => Sealed::wrap(CowArray::from(array.into_owned())))
    }

    /// The elements, little-endian, in row-major order.
    pub fn to_bytes(&self) -> Vec<u8> {
        fn of<T: Sealed>(array: &CowArray<'_, T, IxDyn>) -> Vec<u8> {
            let mut out = Vec::with_capacity(array.len() * T::ELEMENT.size());
            match array.as_slice() {
                Some(values) => T::little_endian(values.iter().copied(), &mut out),
                None => T::little_endian(array.iter().copied(), &mut out),
            }
            out
        }
        each!(self, array => of(array))
    }

    /// The tensor of little-endian elements in row-major order.
    ///
    /// # Errors
    /// [`Error::Argument`] when `bytes` has another length than `dims` says.
    pub fn from_bytes(element: Element, dims: &[usize], bytes: &[u8]) -> Result<Tensor<'static>> {
        fn of<T: Sealed>(dims: &[usize], bytes: &[u8]) -> Option<Tensor<'static>> {
            let array = ArrayD::from_shape_vec(IxDyn(dims), T::read(bytes)).ok()?;
            Some(T::wrap(array.into()))
        }
        let wrong = || {
            Error::Argument(format!(
                "{} bytes are not a tensor of {element} of the dimensions {dims:?}",
                bytes.len()
            ))
        };
        if element.bytes(dims) != Some(bytes.len()) {
            return Err(wrong());
        }
        match element {
            Element::Float32 => of::<f32>(dims, bytes),
            Element::Float64 => of::<f64>(dims, bytes),
            Element::Float16 => of::<f16>(dims, bytes),
            Element::Bfloat16 => of::<bf16>(dims, bytes),
            Element::Int64 => of::<i64>(dims, bytes),
            Element::Int32 => of::<i32>(dims, bytes),
            Element::Int8 => of::<i8>(dims, bytes),
            Element::Uint8 => of::<u8>(dims, bytes),
            Element::Bool => of::<bool>(dims, bytes),
        }
        .ok_or_else(wrong)
    }

    /// The same tensor with its elements in row-major order, one after another.
    pub(super) fn standard(&self) -> Tensor<'_> {
        fn of<'a, T: Sealed>(array: &'a CowArray<'_, T, IxDyn>) -> Tensor<'a> {
            T::wrap(array.as_standard_layout())
        }
        each!(self, array => of(array))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn bytes_are_little_endian_in_row_major_order() {
        let tensor = Tensor::from(array![[1i32, 2], [3, 4]].reversed_axes());
        let bytes = tensor.to_bytes();
        assert_eq!(bytes, [1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(Tensor::from_bytes(Element::Int32, &[2, 2], &bytes).unwrap(), tensor);
        assert!(Tensor::from_bytes(Element::Int32, &[2, 3], &bytes).is_err());
        assert!(Tensor::from_bytes(Element::Int32, &[usize::MAX, 2], &bytes).is_err());
    }

    #[test]
    fn scalars_are_of_any_floating_type_and_one_element() {
        assert_eq!(Tensor::from(f16::from_f32(0.5)).scalar().unwrap(), 0.5);
        assert_eq!(Tensor::from(array![[bf16::from_f32(2.0)]]).scalar().unwrap(), 2.0);
        assert!(Tensor::from(1i64).scalar().unwrap_err().to_string().contains("int64"));
        assert!(Tensor::from(array![1f32, 2.]).scalar().is_err());
        assert!(Tensor::from(1f32).array::<f64>().is_err());
    }
}
