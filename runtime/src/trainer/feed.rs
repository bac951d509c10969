//! Data given to the engine without copies.

use ndarray::{CowArray, IxDyn};
use ort::value::{DynValue, DynValueRef, PrimitiveTensorElementType, TensorRef};

use super::tensor::{Tensor, each};
use crate::error::{Error, Result, engine};

/// Lends a tensor, whose elements are in row-major order one after another, to `act`
/// as a value of the engine.
pub(super) fn with_value<T>(
    tensor: &Tensor<'_>,
    act: &mut dyn FnMut(&DynValue) -> Result<T>,
) -> Result<T> {
    let value = value(tensor)?;
    act(&value)
}

/// A tensor, whose elements are in row-major order one after another, as a value of
/// the engine that borrows them.
pub(super) fn value<'t>(tensor: &'t Tensor<'_>) -> Result<DynValueRef<'t>> {
    fn of<'t, T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static>(
        array: &'t CowArray<'_, T, IxDyn>,
    ) -> Result<DynValueRef<'t>> {
        let elements = array
            .as_slice()
            .ok_or_else(|| Error::Argument("the elements are not in row-major order".into()))?;
        TensorRef::from_array_view((array.shape().to_vec(), elements))
            .map(TensorRef::into_dyn)
            .map_err(engine("take data"))
    }
    each!(tensor, array => of(array))
}
