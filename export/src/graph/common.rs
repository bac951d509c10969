//! Common subexpressions: what is computed twice is computed once.

use std::collections::{HashMap, HashSet};

use onnx_protobuf::AttributeProto;
use protobuf::Message;

use super::read::captured;
use super::{ElementType, Graph, Node, Tensor, TensorData, Value};

/// Operators of the ONNX specification whose results differ from run to run.
pub(crate) const RANDOM: [&str; 7] = [
    "Bernoulli",
    "Dropout",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
];

/// What two operators have in common that give the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    operator: String,
    overload: String,
    inputs: Vec<Option<Value>>,
    /// Which outputs there are, and whether gradients pass through each.
    outputs: Vec<Option<bool>>,
    /// By name, as ONNX writes them.
    attributes: Vec<(String, Vec<u8>)>,
}

impl Graph {
    /// Computes once what several operators compute alike: those of the same operator with the
    /// same attributes and inputs, where constants of one element or of integers are the same
    /// when they are equal. Returns how many operators went; a second time that is 0.
    ///
    /// Operators that draw random numbers, that have inner graphs or that are not of the ONNX
    /// specification stay. So do those whose result is an output of the graph or is read by an
    /// inner graph; of later operators that compute the same, it takes the place.
    pub fn merge_common(&mut self) -> usize {
        let kept = self.values_read_by_name();
        let constants = self.equal_constants();
        let mut same = HashMap::new();
        let mut known: HashMap<Key, Vec<Option<Value>>> = HashMap::new();
        let mut gone: HashSet<String> = HashSet::new();
        let before = self.nodes.len();
        let nodes = std::mem::take(&mut self.nodes);
        for mut node in nodes {
            point(&mut node.inputs, &same);
            // An operator that stays reads its own constants.
            let mut inputs = node.inputs.clone();
            point(&mut inputs, &constants);
            let Some(key) = self.key(&node, inputs) else {
                self.nodes.push(node);
                continue;
            };
            let held = node.outputs.iter().flatten().any(|output| kept.contains(output));
            match known.get(&key) {
                Some(first) if !held => {
                    for (old, new) in node.outputs.iter().zip(first) {
                        let (Some(old), Some(new)) = (*old, *new) else { continue };
                        gone.insert(self.value_name(old).to_owned());
                        self.keep_type(old, new);
                        same.insert(old, new);
                    }
                }
                _ => {
                    known.entry(key).or_insert_with(|| node.outputs.clone());
                    self.nodes.push(node);
                }
            }
        }
        self.frame.graph.value_info.retain(|info| !gone.contains(&info.name));
        before - self.nodes.len()
    }

    /// Outputs, and what inner graphs read: values whose names must stay.
    fn values_read_by_name(&self) -> HashSet<Value> {
        let inner: HashSet<&str> =
            self.nodes.iter().flat_map(|node| captured(&node.attributes)).collect();
        let made = self.nodes.iter().flat_map(|node| node.outputs.iter().flatten().copied());
        let read = made.filter(|value| inner.contains(self.value_name(*value)));
        self.outputs.iter().copied().chain(read).collect()
    }

    /// Constants that equal one before them, with that one.
    fn equal_constants(&self) -> HashMap<Value, Value> {
        let inputs: HashSet<Value> = self.inputs.iter().copied().collect();
        let mut known: HashMap<(i32, &[usize], &[u8]), Value> = HashMap::new();
        let mut same = HashMap::new();
        for (value, tensor) in &self.initializers {
            let Tensor { element, dims, data: TensorData::Bytes(bytes) } = tensor else { continue };
            let whole = matches!(element, ElementType::Int64 | ElementType::Int32);
            if inputs.contains(value) || !(whole || tensor.elements() == Some(1)) {
                continue;
            }
            let first = *known.entry((element.code(), dims, bytes)).or_insert(*value);
            if first != *value {
                same.insert(*value, first);
            }
        }
        same
    }

    /// What tells a node from others; `None` for one that must stay.
    fn key(&self, node: &Node, mut inputs: Vec<Option<Value>>) -> Option<Key> {
        if !matches!(&*node.domain, "" | "ai.onnx") || RANDOM.contains(&&*node.operator) {
            return None;
        }
        let has_graph = |a: &AttributeProto| a.g.is_some() || !a.graphs.is_empty();
        if node.attributes.iter().any(has_graph) {
            return None;
        }
        while inputs.last().is_some_and(Option::is_none) {
            inputs.pop();
        }
        let written = |attribute: &AttributeProto| {
            let mut plain = attribute.clone();
            plain.doc_string.clear();
            Some((plain.name.clone(), plain.write_to_bytes().ok()?))
        };
        let mut attributes: Vec<_> = node.attributes.iter().map(written).collect::<Option<_>>()?;
        attributes.sort();
        let passes = |value: Value| !self.stopped.contains(&value);
        Some(Key {
            operator: node.operator.clone(),
            overload: node.extra.overload.clone(),
            inputs,
            outputs: node.outputs.iter().map(|output| output.map(passes)).collect(),
            attributes,
        })
    }

    /// Gives `new` the type of `old`, where it has none.
    fn keep_type(&mut self, old: Value, new: Value) {
        let kind = self.values.get(old.index()).and_then(|info| info.kind.clone());
        if let Some(info) = self.values.get_mut(new.index())
            && info.kind.is_none()
        {
            info.kind = kind;
        }
    }
}

/// Puts values in the place of others that are the same.
fn point(inputs: &mut [Option<Value>], same: &HashMap<Value, Value>) {
    for input in inputs.iter_mut().flatten() {
        if let Some(first) = same.get(input) {
            *input = *first;
        }
    }
}
