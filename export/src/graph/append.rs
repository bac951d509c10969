//! Adding operators and values to a graph: scopes, unique names, and the nodes
//! that operators are made of.

use onnx_protobuf::AttributeProto;

use super::{
    CONTRIB_DOMAIN, Dim, Graph, Node, NodeExtra, OPSET, OPSET_CONTRIB, TensorType, Value, ValueInfo,
};
use crate::error::{Error, Result};

impl Graph {
    /// Runs `build` within a scope: names of what it adds begin with the scope's.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn in_scope<T>(
        &mut self,
        scope: &str,
        build: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.scope.push(scope.into());
        let result = build(self);
        self.scope.pop();
        result
    }

    /// A dimension whose size only the running graph knows.
    pub(crate) fn fresh_dim(&mut self, hint: &str) -> Dim {
        self.symbols += 1;
        Dim::symbol(&format!("{hint}_{}", self.symbols))
    }

    /// Adds an operator whose output types are known, and returns its outputs.
    pub(crate) fn push_node(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[Option<Value>],
        attributes: Vec<AttributeProto>,
        outputs: Vec<TensorType>,
    ) -> Vec<Value> {
        if domain == CONTRIB_DOMAIN {
            self.opsets.entry(domain.into()).or_insert(OPSET_CONTRIB);
        } else if domain.is_empty() && !self.opsets.contains_key("ai.onnx") {
            self.opsets.entry(domain.into()).or_insert(OPSET);
        }
        let name = self.unique(&self.scoped(operator));
        let several = outputs.len() > 1;
        let outputs: Vec<Value> = outputs
            .into_iter()
            .enumerate()
            .map(|(i, kind)| {
                let value = if several { format!("{name}.{i}") } else { format!("{name}.out") };
                let value = self.unique(&value);
                self.push_value(value, Some(kind))
            })
            .collect();
        let mut inputs = inputs.to_vec();
        while inputs.last().is_some_and(Option::is_none) {
            inputs.pop();
        }
        self.nodes.push(Node {
            name,
            operator: operator.into(),
            domain: domain.into(),
            inputs,
            outputs: outputs.iter().copied().map(Some).collect(),
            attributes,
            extra: NodeExtra::default(),
        });
        outputs
    }

    /// Adds an operator of the ONNX specification with one output.
    pub(crate) fn push(
        &mut self,
        operator: &str,
        inputs: &[Value],
        attributes: Vec<AttributeProto>,
        output: TensorType,
    ) -> Result<Value> {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        self.push_optional(operator, "", &inputs, attributes, output)
    }

    /// Adds an operator with one output and inputs that may be left out.
    pub(crate) fn push_optional(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[Option<Value>],
        attributes: Vec<AttributeProto>,
        output: TensorType,
    ) -> Result<Value> {
        let outputs = self.push_node(operator, domain, inputs, attributes, vec![output]);
        outputs.first().copied().ok_or_else(|| self.error(operator, "has no output".into()))
    }

    /// Number of values of the graph: what the next one is numbered.
    pub(crate) fn value_count(&self) -> usize {
        self.values.len()
    }

    /// Adds the operator of `node` once more with other inputs, and returns its outputs.
    pub(crate) fn push_copy(
        &mut self,
        node: &Node,
        inputs: Vec<Option<Value>>,
    ) -> Vec<Option<Value>> {
        let name = self.unique(&self.scoped(node.name.trim_start_matches('/')));
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for (at, output) in node.outputs.iter().enumerate() {
            outputs.push(output.map(|output| {
                let kind = self.values.get(output.index()).and_then(|info| info.kind.clone());
                let value = self.unique(&format!("{name}.{at}"));
                self.push_value(value, kind)
            }));
        }
        self.nodes.push(Node { name, inputs, outputs: outputs.clone(), ..node.clone() });
        outputs
    }

    /// Makes an operator give an output that it left out, and returns it.
    pub(crate) fn extra_output(
        &mut self,
        index: usize,
        at: usize,
        kind: TensorType,
    ) -> Result<Value> {
        let Some(name) = self.nodes.get(index).map(|node| node.name.clone()) else {
            return Err(self.error("Graph", format!("has no operator {index}")));
        };
        let name = self.unique(&format!("{name}.{at}"));
        let value = self.push_value(name, Some(kind));
        if let Some(node) = self.nodes.get_mut(index) {
            while node.outputs.len() <= at {
                node.outputs.push(None);
            }
            if let Some(place) = node.outputs.get_mut(at) {
                *place = Some(value);
            }
        }
        Ok(value)
    }

    /// The error of an operator that does not take its inputs.
    pub(crate) fn error(&self, operator: &str, reason: String) -> Error {
        Error::Operator {
            operator: operator.into(),
            scope: format!("/{}", self.scope.join("/")),
            reason,
        }
    }

    pub(super) fn scoped(&self, name: &str) -> String {
        let mut path = String::new();
        for scope in &self.scope {
            path.push('/');
            path.push_str(scope);
        }
        path.push('/');
        path.push_str(name);
        path
    }

    pub(super) fn unique(&mut self, name: &str) -> String {
        let Some(&count) = self.names.get(name) else {
            self.names.insert(name.into(), 1);
            return name.into();
        };
        let mut count = count.max(1);
        loop {
            let candidate = format!("{name}_{count}");
            count += 1;
            if !self.names.contains_key(&candidate) {
                self.names.insert(candidate.clone(), 0);
                self.names.insert(name.into(), count);
                return candidate;
            }
        }
    }

    pub(super) fn named_value(&mut self, name: &str, kind: Option<TensorType>) -> Result<Value> {
        if self.names.contains_key(name) {
            return Err(self.error("Value", format!("the name `{name}` is taken")));
        }
        self.names.insert(name.into(), 0);
        Ok(self.push_value(name.into(), kind))
    }

    pub(super) fn push_value(&mut self, name: String, kind: Option<TensorType>) -> Value {
        let value = Value(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
        self.values.push(ValueInfo { name, kind });
        value
    }
}
