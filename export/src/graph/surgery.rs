//! Changes to a graph that was read: inputs fed by operators, outputs chosen
//! anew, what nothing needs removed.

use std::collections::{HashMap, HashSet};

use super::read::captured;
use super::{Attribute, Dim, ElementType, Graph, Node, Tensor, TensorData, TensorType, Value};
use crate::error::Result;

impl Graph {
    /// The input of a name.
    pub fn input_named(&self, name: &str) -> Option<Value> {
        self.inputs.iter().copied().find(|&value| self.value_name(value) == name)
    }

    /// The output of a name.
    pub fn output_named(&self, name: &str) -> Option<Value> {
        self.outputs.iter().copied().find(|&value| self.value_name(value) == name)
    }

    /// The value of a name.
    pub(crate) fn value_named(&self, name: &str) -> Option<Value> {
        let at = self.values.iter().position(|info| info.name == name)?;
        u32::try_from(at).ok().map(Value)
    }

    /// The tensor of a value that is an initializer.
    pub(crate) fn tensor(&self, value: Value) -> Option<&Tensor> {
        self.initializers.iter().find(|(v, _)| *v == value).map(|(_, tensor)| tensor)
    }

    /// Lets `change` look at each tensor, with its name, and change it.
    pub(crate) fn map_tensors(
        &mut self,
        mut change: impl FnMut(&str, &mut Tensor) -> Result<()>,
    ) -> Result<()> {
        for (value, tensor) in &mut self.initializers {
            change(self.values.get(value.index()).map_or("", |info| &info.name), tensor)?;
        }
        Ok(())
    }

    /// Removes the operators that make `values` and whose outputs nothing reads.
    pub(crate) fn remove_unread(&mut self, values: &HashSet<Value>) {
        let read: HashSet<Value> =
            self.nodes.iter().flat_map(|node| node.inputs.iter().flatten().copied()).collect();
        let outputs: HashSet<Value> = self.outputs.iter().copied().collect();
        self.nodes.retain(|node| {
            let made = || node.outputs.iter().flatten();
            !made().any(|value| values.contains(value))
                || made().any(|value| read.contains(value) || outputs.contains(value))
        });
    }

    /// Takes all operators out of the graph, to be put back one by one.
    pub(crate) fn take_nodes(&mut self) -> Vec<super::Node> {
        std::mem::take(&mut self.nodes)
    }

    /// Puts an operator at the end.
    pub(crate) fn put_node(&mut self, node: super::Node) {
        self.nodes.push(node);
    }

    /// Lets the last operator give a new value in place of `output`, and returns that.
    pub(crate) fn move_output(&mut self, output: Value) -> Result<Value> {
        let kind = self.tensor_type(output)?.clone();
        let name = self.unique(&format!("{}.plain", self.value_name(output)));
        let moved = self.push_value(name, Some(kind));
        self.name_output_of_last(output, moved)?;
        Ok(moved)
    }

    /// Lets the last operator give `output` in place of `made`.
    pub(crate) fn name_output_of_last(&mut self, made: Value, output: Value) -> Result<()> {
        let last = self.nodes.last_mut().and_then(|node| node.outputs.first_mut());
        match last {
            Some(place) if *place == Some(made) => {
                *place = Some(output);
                Ok(())
            }
            _ => Err(self.error("Graph", "the last operator gives another value".into())),
        }
    }

    /// The initializer of a name.
    pub fn initializer_named(&self, name: &str) -> Option<Value> {
        let mut values = self.initializers.iter().map(|(value, _)| *value);
        values.find(|&value| self.value_name(value) == name)
    }

    /// Makes an input of the initializer of a name, and gives its tensor; `None` when there
    /// is none of that name.
    pub fn initializer_to_input(&mut self, name: &str) -> Option<Tensor> {
        let at = self.initializers.iter().position(|(value, _)| self.value_name(*value) == name)?;
        let (value, tensor) = self.initializers.remove(at);
        self.inputs.retain(|&input| input != value);
        self.frame.declared.remove(&value);
        self.inputs.push(value);
        Some(tensor)
    }

    /// Puts a tensor in the place of the initializer of a name.
    ///
    /// # Errors
    /// [`Error::Operator`](crate::Error::Operator) when there is none of that name, or it has
    /// another type or shape.
    pub fn set_tensor(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        let at = self.initializers.iter().position(|(value, _)| self.value_name(*value) == name);
        let held = at.and_then(|at| self.initializers.get_mut(at));
        match held {
            Some((_, held)) if held.dims == tensor.dims && held.element == tensor.element => {
                *held = tensor;
                Ok(())
            }
            Some((_, held)) => {
                let reason = format!("`{name}` is {held:?}, not {tensor:?}");
                Err(self.error("Initializer", reason))
            }
            None => Err(self.error("Initializer", format!("there is no tensor `{name}`"))),
        }
    }

    /// Takes a value off the inputs: it has a tensor, or will be made by an operator.
    pub(crate) fn remove_input(&mut self, input: Value) {
        self.inputs.retain(|&value| value != input);
        self.frame.declared.remove(&input);
    }

    /// Declares an input or output anew, in place of what the file says.
    pub(crate) fn redeclare(&mut self, value: Value, kind: TensorType) {
        self.frame.declared.remove(&value);
        self.declare_type(value, kind);
    }

    /// Makes an operator produce what was an input: `build` adds operators that
    /// need other inputs and tensors only, and returns the value that takes the
    /// input's place.
    pub(crate) fn feed_input(
        &mut self,
        input: Value,
        build: impl FnOnce(&mut Self) -> Result<Value>,
    ) -> Result<()> {
        let after = std::mem::take(&mut self.nodes);
        let fed = build(self).and_then(|made| {
            let kind = self.tensor_type(made)?.clone();
            self.push("Identity", &[made], vec![], kind)
        });
        let put = self.nodes.last_mut().and_then(|node| node.outputs.first_mut());
        if let (Ok(_), Some(output)) = (&fed, put) {
            *output = Some(input);
        }
        self.nodes.extend(after);
        fed?;
        self.remove_input(input);
        Ok(())
    }

    /// Puts a new int64 input in the place of `input`, of integers of another
    /// type, which is cast from it. The name stays.
    pub(crate) fn widen_input(&mut self, input: Value) -> Result<Value> {
        let name = self.value_name(input).to_owned();
        if self.is_captured(input) {
            return Err(self.error(
                "Input",
                format!("`{name}` is not int64 and a subgraph reads it, which is not supported"),
            ));
        }
        let kind = self.tensor_type(input)?.clone();
        self.rename_away(input);
        let wide =
            self.named_value(&name, Some(TensorType::new(ElementType::Int64, kind.shape)))?;
        if let Some(at) = self.inputs.iter().position(|&value| value == input) {
            self.inputs.insert(at, wide);
        }
        self.feed_input(input, |g| g.cast(wide, kind.element))?;
        Ok(wide)
    }

    /// Frees a name for an output, unless a subgraph reads its value.
    pub(crate) fn free_name(&mut self, name: &str) {
        let holder =
            (0..self.values.len() as u32).map(Value).find(|&value| self.value_name(value) == name);
        if let Some(value) = holder
            && !self.is_captured(value)
        {
            self.rename_away(value);
        }
    }

    fn rename_away(&mut self, value: Value) {
        let old = self.value_name(value).to_owned();
        let new = self.unique(&format!("{old}.original"));
        if let Some(info) = self.values.get_mut(value.index()) {
            info.name.clone_from(&new);
        }
        if let Some(declared) = self.frame.declared.get_mut(&value) {
            declared.name.clone_from(&new);
        }
        for info in self.frame.graph.value_info.iter_mut().filter(|info| info.name == old) {
            info.name.clone_from(&new);
        }
        for note in &mut self.frame.graph.quantization_annotation {
            let names = note.quant_parameter_tensor_names.iter_mut().map(|entry| &mut entry.value);
            for name in std::iter::once(&mut note.tensor_name).chain(names) {
                if *name == old {
                    name.clone_from(&new);
                }
            }
        }
        self.names.remove(&old);
    }

    /// Whether a subgraph reads a value by its name.
    pub(crate) fn is_captured(&self, value: Value) -> bool {
        let name = self.value_name(value);
        self.nodes.iter().any(|node| captured(&node.attributes).contains(name))
    }

    /// Removes operators and tensors that no output needs. Inputs stay.
    pub(crate) fn prune(&mut self) {
        let by_name: HashMap<&str, Value> = (0..self.values.len() as u32)
            .map(Value)
            .map(|value| (self.value_name(value), value))
            .collect();
        let mut needed: HashSet<Value> = self.outputs.iter().copied().collect();
        let mut kept = vec![false; self.nodes.len()];
        for (node, kept) in self.nodes.iter().zip(&mut kept).rev() {
            if node.outputs.iter().flatten().any(|output| needed.contains(output)) {
                *kept = true;
                needed.extend(node.inputs.iter().flatten());
                let inner = captured(&node.attributes);
                needed.extend(inner.into_iter().filter_map(|name| by_name.get(name)));
            }
        }
        let gone: HashSet<String> = self
            .nodes
            .iter()
            .zip(&kept)
            .filter(|(_, kept)| !**kept)
            .flat_map(|(node, _)| node.outputs.iter().flatten())
            .map(|&value| self.value_name(value).to_owned())
            .collect();
        let mut keep = kept.into_iter();
        self.nodes.retain(|_| keep.next().unwrap_or(true));
        self.initializers.retain(|(value, _)| needed.contains(value));
        self.frame.graph.value_info.retain(|info| !gone.contains(&info.name));
    }

    /// Zeros of the shape and of the element type that are asked for, shaped as
    /// `like`.
    pub(crate) fn zeros_like(&mut self, like: Value, element: ElementType) -> Result<Value> {
        let shape = self.shape(like)?;
        let rank = TensorType::new(ElementType::Int64, vec![Dim::from(shape.len())]);
        let sizes = self.push("Shape", &[like], vec![], rank)?;
        let zero = vec![0; element.size().unwrap_or(0)];
        let zero = Tensor { element, dims: vec![1], data: TensorData::Bytes(zero.into()) };
        let attribute = Attribute::tensor("value", &zero);
        self.push("ConstantOfShape", &[sizes], vec![attribute], TensorType::new(element, shape))
    }

    /// int64 positions from `first` on, the same in each row of `like`
    /// `[batch, tokens]`.
    pub(crate) fn positions_like(&mut self, like: Value, first: i64) -> Result<Value> {
        let shape = self.shape(like)?;
        let zeros = self.zeros_like(like, ElementType::Int64)?;
        let count = self.size_of(like, 1)?;
        let mut positions = self.range(count, shape.last().cloned().unwrap_or(Dim::from(1)))?;
        if first != 0 {
            let first = self.integers(&[first])?;
            positions = self.add(positions, first)?;
        }
        self.add(zeros, positions)
    }

    /// Replaces operators: `change` sees each in turn and either leaves it, or adds
    /// those that take its place and returns the values that take the place of its
    /// outputs, of which operators that were added must have made every one.
    pub(crate) fn rewrite(
        &mut self,
        mut change: impl FnMut(&mut Self, usize, &Node) -> Result<Option<Vec<Value>>>,
    ) -> Result<()> {
        let before = std::mem::take(&mut self.nodes);
        for (index, node) in before.into_iter().enumerate() {
            let start = self.nodes.len();
            match change(self, index, &node)? {
                None => self.nodes.push(node),
                Some(made) => {
                    let added = self.nodes.get_mut(start..).unwrap_or_default();
                    for (old, new) in node.outputs.iter().zip(made) {
                        let slots = added.iter_mut().flat_map(|node| {
                            let Node { inputs, outputs, .. } = node;
                            inputs.iter_mut().chain(outputs)
                        });
                        for slot in slots.filter(|slot| **slot == Some(new)) {
                            *slot = *old;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds an operator whose output types are left to the engine.
    pub(crate) fn push_untyped(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[Option<Value>],
        attributes: Vec<onnx_protobuf::AttributeProto>,
        outputs: usize,
    ) -> Vec<Value> {
        let kind = TensorType::new(ElementType::Float32, vec![]);
        let made = self.push_node(operator, domain, inputs, attributes, vec![kind; outputs]);
        for value in &made {
            if let Some(info) = self.values.get_mut(value.index()) {
                info.kind = None;
            }
        }
        made
    }

    /// Makes a value an output as it is, whatever is known of its type.
    pub(crate) fn expose(&mut self, value: Value) {
        if !self.outputs.contains(&value) {
            self.outputs.push(value);
        }
    }
}
