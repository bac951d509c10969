//! Element types, dimensions and shapes.

use std::fmt;
use std::sync::Arc;

/// The type of a tensor's elements. The numbers are those of
/// `TensorProto.DataType` in the ONNX specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// 32-bit floating point.
    Float32,
    /// Unsigned byte.
    Uint8,
    /// Signed byte.
    Int8,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// Truth value, one byte.
    Bool,
    /// IEEE half precision.
    Float16,
    /// 64-bit floating point.
    Float64,
    /// The upper half of a 32-bit float.
    Bfloat16,
    /// Any other type of the specification, which is carried but not computed with.
    Other(i32),
}

impl ElementType {
    /// The number that ONNX gives this type.
    pub fn code(self) -> i32 {
        match self {
            Self::Float32 => 1,
            Self::Uint8 => 2,
            Self::Int8 => 3,
            Self::Int32 => 6,
            Self::Int64 => 7,
            Self::Bool => 9,
            Self::Float16 => 10,
            Self::Float64 => 11,
            Self::Bfloat16 => 16,
            Self::Other(code) => code,
        }
    }

    /// The type that ONNX gives this number.
    pub fn from_code(code: i32) -> Self {
        match code {
            1 => Self::Float32,
            2 => Self::Uint8,
            3 => Self::Int8,
            6 => Self::Int32,
            7 => Self::Int64,
            9 => Self::Bool,
            10 => Self::Float16,
            11 => Self::Float64,
            16 => Self::Bfloat16,
            other => Self::Other(other),
        }
    }

    /// Bytes of one element; `None` for types that are not a whole number of
    /// bytes or not known here.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Uint8 | Self::Int8 | Self::Bool => Some(1),
            Self::Float16 | Self::Bfloat16 => Some(2),
            Self::Float32 | Self::Int32 => Some(4),
            Self::Int64 | Self::Float64 => Some(8),
            Self::Other(code) => match code {
                4 | 5 => Some(2),
                12 => Some(4),
                13 | 14 => Some(8),
                15 => Some(16),
                17..=20 => Some(1),
                _ => None,
            },
        }
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float16 | Self::Float64 | Self::Bfloat16)
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::Float16 => "float16",
            Self::Float64 => "float64",
            Self::Bfloat16 => "bfloat16",
            Self::Other(code) => return write!(f, "type {code}"),
        })
    }
}

/// One dimension of a shape: a number times named unknowns, such as `384`,
/// `batch`, or `3·batch·tokens`.
///
/// Two dimensions are equal when they are equal for every value of the
/// unknowns, so a reshape between `[batch, tokens, 6]` and `[batch·tokens, 6]`
/// can be checked while the graph is built.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dim {
    factor: usize,
    /// Sorted.
    symbols: Vec<Arc<str>>,
}

impl Dim {
    /// A dimension known only when the graph runs, by its name.
    pub fn symbol(name: &str) -> Self {
        Self { factor: 1, symbols: vec![name.into()] }
    }

    /// The dimension's size, where it does not depend on an unknown.
    pub fn fixed(&self) -> Option<usize> {
        (self.symbols.is_empty() || self.factor == 0).then_some(self.factor)
    }

    /// The dimension's size if every unknown were `unknown`.
    pub(crate) fn size_if(&self, unknown: usize) -> f64 {
        self.symbols.iter().fold(self.factor as f64, |size, _| size * unknown as f64)
    }

    /// An equal part of the dimension, where its number says that there is one.
    pub fn part(&self, count: usize) -> Option<Self> {
        let exact = count > 0 && self.factor.is_multiple_of(count);
        exact.then(|| Self { factor: self.factor / count, symbols: self.symbols.clone() })
    }

    /// Product of two dimensions; `None` when the number overflows.
    pub fn times(&self, other: &Self) -> Option<Self> {
        let factor = self.factor.checked_mul(other.factor)?;
        let mut symbols = Vec::with_capacity(self.symbols.len() + other.symbols.len());
        if factor != 0 {
            symbols.extend(self.symbols.iter().chain(&other.symbols).cloned());
            symbols.sort();
        }
        Some(Self { factor, symbols })
    }

    /// The dimension that times `other` gives this one; `None` when there is none.
    pub fn over(&self, other: &Self) -> Option<Self> {
        if other.factor == 0 || !self.factor.is_multiple_of(other.factor) {
            return None;
        }
        let mut symbols = self.symbols.clone();
        for symbol in &other.symbols {
            let at = symbols.iter().position(|mine| mine == symbol)?;
            symbols.remove(at);
        }
        Some(Self { factor: self.factor / other.factor, symbols })
    }

    /// The dimension with a named unknown replaced by its size.
    pub(crate) fn substitute(&self, symbol: &str, size: usize) -> Self {
        let mut factor = self.factor;
        let mut symbols = Vec::with_capacity(self.symbols.len());
        for mine in &self.symbols {
            match **mine == *symbol {
                true => factor = factor.saturating_mul(size),
                false => symbols.push(mine.clone()),
            }
        }
        Self { factor, symbols }
    }

    /// Product of all of `dims`; `None` when the number overflows.
    pub fn product(dims: &[Self]) -> Option<Self> {
        dims.iter().try_fold(Self::from(1), |product, dim| product.times(dim))
    }
}

impl From<usize> for Dim {
    fn from(factor: usize) -> Self {
        Self { factor, symbols: Vec::new() }
    }
}

impl From<&Dim> for Dim {
    fn from(dim: &Dim) -> Self {
        dim.clone()
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Self::symbol(name)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if self.factor != 1 || self.symbols.is_empty() {
            write!(f, "{}", self.factor)?;
            separator = "·";
        }
        for symbol in &self.symbols {
            write!(f, "{separator}{symbol}")?;
            separator = "·";
        }
        Ok(())
    }
}

/// The dimensions of a tensor, outermost first.
pub type Shape = Vec<Dim>;

/// Makes a [`Shape`] of numbers, names and dimensions: `shape!["batch", 12]`.
#[macro_export]
macro_rules! shape {
    ($($dim:expr),* $(,)?) => {
        $crate::graph::Shape::from([$($crate::graph::Dim::from($dim)),*])
    };
}

/// Writes a shape as `[batch, 12]`.
pub(crate) fn show(shape: &[Dim]) -> String {
    let dims: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(", "))
}

/// Element type and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorType {
    /// Type of the elements.
    pub element: ElementType,
    /// Dimensions, outermost first.
    pub shape: Shape,
}

impl TensorType {
    /// A type from its parts.
    pub fn new(element: ElementType, shape: Shape) -> Self {
        Self { element, shape }
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.element, show(&self.shape))
    }
}

/// The shape that two shapes give when their elements are paired by ONNX's
/// (NumPy's) multidirectional broadcasting.
pub(crate) fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Shape, String> {
    let rank = a.len().max(b.len());
    let one = Dim::from(1);
    let dim = |shape: &[Dim], i: usize| {
        (i + shape.len()).checked_sub(rank).and_then(|j| shape.get(j)).unwrap_or(&one).clone()
    };
    (0..rank)
        .map(|i| {
            let (x, y) = (dim(a, i), dim(b, i));
            if x == y || y == one {
                Ok(x)
            } else if x == one {
                Ok(y)
            } else {
                Err(format!(
                    "{} and {} cannot be paired: {x} against {y}; each pair of dimensions, from \
                     the last, must be equal or one of them 1",
                    show(a),
                    show(b)
                ))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dims_multiply_and_compare_as_monomials() {
        let (b, t) = (Dim::symbol("batch"), Dim::symbol("tokens"));
        assert_eq!(b.times(&t), t.times(&b));
        assert_eq!(
            Dim::product(&shape!["batch", 3, "tokens", 2]).unwrap().to_string(),
            "6·batch·tokens"
        );
        assert_eq!(Dim::product(&shape!["batch", 0]), Some(Dim::from(0)));
        assert_eq!(Dim::from(usize::MAX).times(&Dim::from(2)), None);
        let product = Dim::product(&shape!["batch", 6, "tokens"]).unwrap();
        assert_eq!(product.over(&Dim::product(&shape![3, "tokens"]).unwrap()).unwrap(), {
            Dim::product(&shape!["batch", 2]).unwrap()
        });
        assert_eq!(product.over(&Dim::from(4)), None);
        assert_eq!(product.over(&Dim::symbol("width")), None);
        assert_eq!(product.substitute("batch", 5).to_string(), "30·tokens");
    }

    #[test]
    fn broadcasting_follows_numpy() {
        let wide = broadcast(&shape!["batch", 1, "tokens", 4], &shape![12, 1, 1]).unwrap();
        assert_eq!(wide, shape!["batch", 12, "tokens", 4]);
        let message = broadcast(&shape!["batch", 4], &shape!["batch", 5]).unwrap_err();
        assert!(message.contains("4 against 5"), "{message}");
        assert!(broadcast(&shape!["batch"], &shape!["tokens"]).is_err());
    }

    #[test]
    fn codes_round_trip() {
        for code in 0..30 {
            assert_eq!(ElementType::from_code(code).code(), code);
        }
    }
}
