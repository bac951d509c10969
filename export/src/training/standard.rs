//! ONNX's own form of a training step: a model with `TrainingInfoProto`.
//!
//! The model's graph is the network as it is used; its training information adds what a step
//! does besides: the loss, gradients and the update as the *algorithm*, which reads values of
//! the network by name; which output becomes the new value of which tensor as the *update
//! binding*; and zeros for what the optimizer keeps as the *initialization*. An engine that knows
//! nothing of training runs the network.

use std::collections::HashSet;
use std::path::Path;

use offshoot::trainer::StateKind;
use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
    TrainingInfoProto, ValueInfoProto, attribute_proto::AttributeType,
};
use protobuf::Message;

use super::{AVERAGE, StateTensor, TrainingStep};
use crate::error::{Error, Result};
use crate::graph::external::Layout;
use crate::graph::read::{captured, read};
use crate::graph::{Dim, ElementType, Graph, Lowering, TensorType, type_proto};

impl TrainingStep {
    /// The step as a model whose graph gives `outputs`, which are outputs of the step that no
    /// label is needed for, with the rest as its training information. All tensors are inside.
    ///
    /// # Errors
    /// [`Error::Program`] when an output is not one of the step's, depends on its update, or none
    /// is given; those of reading tensors.
    pub fn to_training_model(&self, outputs: &[&str]) -> Result<ModelProto> {
        let mut model = self.graph.to_model(&Layout::inside(&self.graph)?)?;
        let whole = model.graph.take().unwrap_or_default();
        let known: HashSet<&str> = whole.output.iter().map(|info| info.name.as_str()).collect();
        if let Some(output) = outputs.iter().find(|output| !known.contains(**output)) {
            return Err(refused(format!("the step has no output `{output}`")));
        }
        if outputs.is_empty() {
            return Err(refused("a training model needs an output of the network".into()));
        }
        let (network, read) = needed(&whole.node, outputs);
        let state = state_tensors(&self.state)?;
        let is_state: HashSet<&str> = self.state.iter().map(|state| state.name.as_str()).collect();

        let mut graph = GraphProto { name: whole.name.clone(), ..Default::default() };
        let mut algorithm =
            GraphProto { name: format!("{}.step", whole.name), ..Default::default() };
        for (node, of_network) in whole.node.into_iter().zip(network) {
            let part = if of_network { &mut graph } else { &mut algorithm };
            part.node.push(node);
        }
        for info in whole.input {
            match (is_state.contains(info.name.as_str()), read.contains(&info.name)) {
                (true, _) => {}
                (false, true) => graph.input.push(info),
                (false, false) => algorithm.input.push(info),
            }
        }
        let begins_at_zero =
            |state: &&StateTensor| matches!(state.kind, StateKind::Optimizer | StateKind::Other);
        let begun: HashSet<&str> =
            self.state.iter().filter(begins_at_zero).map(|state| state.name.as_str()).collect();
        let zeroed: Vec<TensorProto> =
            state.iter().filter(|tensor| begun.contains(tensor.name.as_str())).cloned().collect();
        for tensor in whole.initializer.into_iter().chain(state) {
            let part = if read.contains(&tensor.name) { &mut graph } else { &mut algorithm };
            part.initializer.push(tensor);
        }
        for info in whole.output {
            let of_network = outputs.contains(&info.name.as_str());
            let part = if of_network { &mut graph } else { &mut algorithm };
            part.output.push(info);
        }
        graph.value_info = whole.value_info;
        let (initialization, initialization_binding) = zeros(&zeroed);
        let update_binding =
            self.state.iter().map(|state| entry(&state.name, &state.output)).collect();
        model.training_info = vec![TrainingInfoProto {
            initialization: Some(initialization).into(),
            algorithm: Some(algorithm).into(),
            initialization_binding,
            update_binding,
            ..Default::default()
        }];
        model.graph = Some(graph).into();
        Ok(model)
    }

    /// Reads a model with training information, whose tensors are inside, as one step. What is
    /// trained are the tensors of its graph that the step updates.
    ///
    /// # Errors
    /// [`Error::Onnx`] when there is not exactly one algorithm, or it updates what is no
    /// tensor or by what is no output; those of [`read`].
    pub fn from_training_model(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::onnx(path, reason);
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let mut model = ModelProto::parse_from_bytes(&bytes)
            .map_err(|error| bad(format!("it is not an ONNX model: {error}")))?;
        let [information] = &mut model.training_info[..] else {
            let count = model.training_info.len();
            return Err(bad(format!("it has {count} training algorithms in place of one")));
        };
        let information = std::mem::take(information);
        model.training_info.clear();
        let Some(algorithm) = information.algorithm.into_option() else {
            return Err(bad("its training information has no algorithm".into()));
        };
        let graph = model.graph.mut_or_insert_default();
        let trained: HashSet<String> =
            graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
        graph.node.extend(algorithm.node);
        graph.input.extend(algorithm.input);
        graph.initializer.extend(algorithm.initializer);
        graph.output.extend(algorithm.output);
        graph.value_info.extend(algorithm.value_info);

        let mut whole = tempfile::NamedTempFile::new()
            .map_err(Error::io("create a file in", std::env::temp_dir()))?;
        let bytes = model.write_to_bytes().map_err(|error| bad(error.to_string()))?;
        std::io::Write::write_all(&mut whole, &bytes).map_err(Error::io("write", whole.path()))?;
        let mut graph = read(whole.path())
            .map_err(|error| bad(format!("its graph and its training algorithm: {error}")))?
            .graph;
        let mut state = Vec::with_capacity(information.update_binding.len());
        for StringStringEntryProto { key: name, value: output, .. } in information.update_binding {
            if graph.output_named(&output).is_none() {
                return Err(bad(format!("`{name}` is updated by `{output}`, which is no output")));
            }
            let Some(initial) = graph.initializer_to_input(&name) else {
                return Err(bad(format!("it updates `{name}`, which is no tensor of it")));
            };
            let kind = match trained.contains(&name) {
                true => StateKind::Parameter,
                false if name.ends_with(AVERAGE) => StateKind::Average,
                false if initial.dims.is_empty() => StateKind::Other,
                false => StateKind::Optimizer,
            };
            state.push(StateTensor { name, output, kind, initial });
        }
        Ok(Self { graph, state })
    }
}

fn refused(reason: String) -> Error {
    Error::Program(reason)
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value: value.into(), ..Default::default() }
}

/// Which operators `outputs` need, and the names of all values that these read.
fn needed(nodes: &[NodeProto], outputs: &[&str]) -> (Vec<bool>, HashSet<String>) {
    let mut read: HashSet<String> = outputs.iter().map(|&output| output.to_owned()).collect();
    let mut of_network = vec![false; nodes.len()];
    for (node, is_needed) in nodes.iter().zip(&mut of_network).rev() {
        *is_needed = node.output.iter().any(|output| read.contains(output));
        if *is_needed {
            read.extend(node.input.iter().cloned());
            read.extend(captured(&node.attribute).into_iter().map(str::to_owned));
        }
    }
    (of_network, read)
}

/// The first values of the state as ONNX writes tensors.
fn state_tensors(state: &[StateTensor]) -> Result<Vec<TensorProto>> {
    let mut holder = Graph::new("state", Lowering::Standard);
    for tensor in state {
        holder.root_initializer(&tensor.name, tensor.initial.clone())?;
    }
    let model = holder.to_model(&Layout::inside(&holder)?)?;
    Ok(model.graph.into_option().unwrap_or_default().initializer)
}

/// A graph of zeros in the shapes of `tensors`, and which tensor each output is for.
fn zeros(tensors: &[TensorProto]) -> (GraphProto, Vec<StringStringEntryProto>) {
    let mut graph = GraphProto { name: "zeros".into(), ..Default::default() };
    let mut binding = Vec::new();
    for tensor in tensors {
        let element = ElementType::from_code(tensor.data_type);
        let (output, sizes) = (format!("{}.zeros", tensor.name), format!("{}.sizes", tensor.name));
        graph.initializer.push(TensorProto {
            name: sizes.clone(),
            dims: vec![tensor.dims.len() as i64],
            data_type: ElementType::Int64.code(),
            raw_data: tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()).collect(),
            ..Default::default()
        });
        let zero = TensorProto {
            dims: vec![1],
            data_type: tensor.data_type,
            raw_data: vec![0; element.size().unwrap_or(4)],
            ..Default::default()
        };
        graph.node.push(NodeProto {
            name: output.clone(),
            op_type: "ConstantOfShape".into(),
            input: vec![sizes],
            output: vec![output.clone()],
            attribute: vec![AttributeProto {
                name: "value".into(),
                type_: AttributeType::TENSOR.into(),
                t: Some(zero).into(),
                ..Default::default()
            }],
            ..Default::default()
        });
        let dims = tensor.dims.iter().map(|&dim| Dim::from(usize::try_from(dim).unwrap_or(0)));
        graph.output.push(ValueInfoProto {
            name: output.clone(),
            type_: Some(type_proto(&TensorType::new(element, dims.collect()))).into(),
            ..Default::default()
        });
        binding.push(entry(&tensor.name, &output));
    }
    (graph, binding)
}
