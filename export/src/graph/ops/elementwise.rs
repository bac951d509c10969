//! Operators that work on each element by itself.

use crate::error::Result;
use crate::graph::{Attribute, ElementType, Graph, TensorType, Value};

/// Which form of the Gaussian error linear unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// `x · Φ(x)`, by the error function.
    Exact,
    /// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    Tanh,
}

impl Graph {
    /// Elementwise sum, broadcasting.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit;
    /// so for every operator of this file.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary("Add", a, b)
    }

    /// Elementwise difference, broadcasting.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn sub(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary("Sub", a, b)
    }

    /// Elementwise product, broadcasting.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary("Mul", a, b)
    }

    /// Elements times a number.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when they are not floating-point.
    pub fn scaled(&mut self, x: Value, number: f64) -> Result<Value> {
        let element = self.tensor_type(x)?.element;
        let number = self.scalar_of(element, number)?;
        self.mul(x, number)
    }

    /// Elementwise quotient, broadcasting.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn div(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary("Div", a, b)
    }

    /// Elementwise larger of two, broadcasting.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn max(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary("Max", a, b)
    }

    /// Whether elements are equal; bool, broadcasting.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn equal(&mut self, a: Value, b: Value) -> Result<Value> {
        self.compare("Equal", a, b)
    }

    /// Whether elements of `a` are less than or equal to those of `b`; bool,
    /// broadcasting.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn less_or_equal(&mut self, a: Value, b: Value) -> Result<Value> {
        self.compare("LessOrEqual", a, b)
    }

    /// `a` where `condition` (bool) holds and `b` elsewhere, broadcasting.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn select(&mut self, condition: Value, a: Value, b: Value) -> Result<Value> {
        let (c, x, y) = (self.tensor_type(condition)?, self.tensor_type(a)?, self.tensor_type(b)?);
        if c.element != ElementType::Bool || x.element != y.element {
            return Err(self.error(
                "Where",
                format!("elements are {}, {}, {}", c.element, x.element, y.element),
            ));
        }
        let (c, x, y) = (c.clone(), x.clone(), y.clone());
        let shape = self.broadcast_shapes("Where", &x.shape, &y.shape)?;
        let shape = self.broadcast_shapes("Where", &shape, &c.shape)?;
        let kind = TensorType::new(x.element, shape);
        self.push("Where", &[condition, a, b], vec![], kind)
    }

    /// Elements converted to another type.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn cast(&mut self, x: Value, to: ElementType) -> Result<Value> {
        let mut kind = self.tensor_type(x)?.clone();
        if kind.element == to {
            return Ok(x);
        }
        kind.element = to;
        self.push("Cast", &[x], vec![Attribute::int("to", i64::from(to.code()))], kind)
    }

    /// Negation of truth values.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn not(&mut self, x: Value) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        if kind.element != ElementType::Bool {
            return Err(self.error("Not", format!("takes bool, not {kind}")));
        }
        self.push("Not", &[x], vec![], kind)
    }

    /// Absolute values.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn abs(&mut self, x: Value) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        self.push("Abs", &[x], vec![], kind)
    }

    /// Negated values.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn neg(&mut self, x: Value) -> Result<Value> {
        let kind = self.tensor_type(x)?.clone();
        self.push("Neg", &[x], vec![], kind)
    }

    /// Square roots.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn sqrt(&mut self, x: Value) -> Result<Value> {
        self.unary("Sqrt", x)
    }

    /// Cosines of angles in radians.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn cos(&mut self, x: Value) -> Result<Value> {
        self.unary("Cos", x)
    }

    /// Sines of angles in radians.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn sin(&mut self, x: Value) -> Result<Value> {
        self.unary("Sin", x)
    }

    /// Hyperbolic tangents.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn tanh(&mut self, x: Value) -> Result<Value> {
        self.unary("Tanh", x)
    }

    /// Logistic function, `1 / (1 + exp(-x))`.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn sigmoid(&mut self, x: Value) -> Result<Value> {
        self.unary("Sigmoid", x)
    }

    /// `max(x, 0)`.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn relu(&mut self, x: Value) -> Result<Value> {
        self.unary("Relu", x)
    }

    /// `x · sigmoid(x)`: a `Sigmoid` and a `Mul`.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn silu(&mut self, x: Value) -> Result<Value> {
        let gate = self.sigmoid(x)?;
        self.mul(x, gate)
    }

    /// The Gaussian error linear unit: one operator, or its parts in graphs of
    /// versions that lack it.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn gelu(&mut self, x: Value, form: Gelu) -> Result<Value> {
        let kind = self.float_type("Gelu", x)?;
        if self.opset() < 20 {
            return self.gelu_of_parts(x, form);
        }
        let attributes = match form {
            Gelu::Exact => vec![],
            Gelu::Tanh => vec![Attribute::string("approximate", "tanh")],
        };
        self.push("Gelu", &[x], attributes, kind)
    }

    fn gelu_of_parts(&mut self, x: Value, form: Gelu) -> Result<Value> {
        let (half, one) = (self.scalar(0.5)?, self.scalar(1.0)?);
        let curve = match form {
            Gelu::Exact => {
                let root = self.scalar(std::f32::consts::FRAC_1_SQRT_2)?;
                let scaled = self.mul(x, root)?;
                self.unary("Erf", scaled)?
            }
            Gelu::Tanh => {
                let (cubic, root) = (self.scalar(0.044_715)?, self.scalar(0.797_884_6)?);
                let square = self.mul(x, x)?;
                let inner = self.mul(square, cubic)?;
                let inner = self.add(inner, one)?;
                let inner = self.mul(inner, x)?;
                let inner = self.mul(inner, root)?;
                self.tanh(inner)?
            }
        };
        let gate = self.add(curve, one)?;
        let gate = self.mul(gate, half)?;
        self.mul(x, gate)
    }

    fn unary(&mut self, operator: &str, x: Value) -> Result<Value> {
        let kind = self.float_type(operator, x)?;
        self.push(operator, &[x], vec![], kind)
    }

    fn binary(&mut self, operator: &str, a: Value, b: Value) -> Result<Value> {
        let kind = self.paired(operator, a, b)?;
        self.push(operator, &[a, b], vec![], kind)
    }

    fn compare(&mut self, operator: &str, a: Value, b: Value) -> Result<Value> {
        let mut kind = self.paired(operator, a, b)?;
        kind.element = ElementType::Bool;
        self.push(operator, &[a, b], vec![], kind)
    }

    fn paired(&mut self, operator: &str, a: Value, b: Value) -> Result<TensorType> {
        let (x, y) = (self.tensor_type(a)?.clone(), self.tensor_type(b)?.clone());
        if x.element != y.element {
            return Err(self.error(operator, format!("{x} and {y}: elements differ in type")));
        }
        let shape = self.broadcast_shapes(operator, &x.shape, &y.shape)?;
        Ok(TensorType::new(x.element, shape))
    }

    /// The type of a value that must be floating-point.
    pub(crate) fn float_type(&self, operator: &str, x: Value) -> Result<TensorType> {
        let kind = self.tensor_type(x)?;
        if kind.element.is_float() {
            Ok(kind.clone())
        } else {
            Err(self.error(operator, format!("takes floating-point elements, not {kind}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{ElementType, Graph, Lowering};
    use crate::shape;

    #[test]
    fn types_and_shapes_are_checked() {
        let mut g = Graph::new("g", Lowering::Standard);
        let x = g.input("x", ElementType::Float32, shape!["batch", "tokens", 4]).unwrap();
        let bias = g.input("bias", ElementType::Float32, shape![5]).unwrap();
        let ids = g.input("ids", ElementType::Int64, shape!["batch", "tokens"]).unwrap();
        assert!(g.add(x, bias).unwrap_err().to_string().contains("4 against 5"));
        assert!(g.add(x, ids).unwrap_err().to_string().contains("elements differ"));
        assert!(g.tanh(ids).unwrap_err().to_string().contains("floating-point"));
        assert!(g.not(x).unwrap_err().to_string().contains("bool"));
        assert!(g.select(ids, x, x).is_err());
        let same = g.equal(ids, ids).unwrap();
        assert_eq!(g.tensor_type(same).unwrap().element, ElementType::Bool);
    }
}
