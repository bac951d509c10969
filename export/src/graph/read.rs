//! Reads ONNX files.
//!
//! A graph is carried whole: operators of any domain, subgraphs, functions,
//! metadata and types that this crate does not compute with are written back as
//! they were read. Large tensors stay on the disk until they are written.

mod skeleton;
mod tensors;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto,
    ValueInfoProto, tensor_shape_proto, type_proto,
};
use protobuf::Message;

use self::skeleton::Skeleton;
use super::model::Frame;
use super::{Dim, ElementType, Graph, Lowering, Node, NodeExtra, Tensor, TensorType, Value};
use crate::error::{Error, Result};

/// A graph that was read, and what the file says besides.
#[derive(Debug)]
pub struct ReadGraph {
    /// The graph.
    pub graph: Graph,
    /// Files that hold external tensors; empty when all are inside the ONNX file.
    pub external_files: BTreeSet<PathBuf>,
}

/// Reads an ONNX file, with its external data where it has any.
///
/// # Errors
/// [`Error::Onnx`] when the file is damaged, its nodes form a cycle or a name
/// means two things; [`Error::Tensor`] when a tensor's data are missing, short or
/// outside the file's folder; [`Error::Io`] when it cannot be read.
pub fn read(path: &Path) -> Result<ReadGraph> {
    let Skeleton { bytes, mut left } = Skeleton::read(path)?;
    let mut model = ModelProto::parse_from_bytes(&bytes)
        .map_err(|error| Error::onnx(path, format!("it is not an ONNX model: {error}")))?;
    drop(bytes);
    let mut proto = model.graph.take().ok_or_else(|| Error::onnx(path, "it has no graph"))?;
    let opsets = opsets(path, &std::mem::take(&mut model.opset_import))?;

    let mut reader = Reader {
        path,
        graph: Graph::new(&proto.name, Lowering::Standard),
        by_name: HashMap::new(),
        kinds: HashMap::new(),
        held: HashSet::new(),
        external: BTreeSet::new(),
    };
    reader.graph.opsets = opsets;
    reader.kinds = proto
        .value_info
        .iter()
        .chain(&proto.input)
        .chain(&proto.output)
        .map(|info| (info.name.clone(), info.type_.as_ref().cloned()))
        .filter_map(|(name, kind)| Some((name, kind?)))
        .collect();

    let mut declared = HashMap::new();
    for info in std::mem::take(&mut proto.input) {
        let value = reader.define(&info.name, "an input")?;
        reader.graph.inputs.push(value);
        declared.insert(value, info);
    }
    let mut described = HashMap::new();
    for (i, tensor) in std::mem::take(&mut proto.initializer).into_iter().enumerate() {
        let text = (tensor.doc_string.clone(), tensor.metadata_props.clone());
        let value = reader.initializer(tensor, left.remove(&i))?;
        if !text.0.is_empty() || !text.1.is_empty() {
            described.insert(value, text);
        }
    }
    for sparse in &proto.sparse_initializer {
        let values = sparse.values.as_ref().cloned().unwrap_or_default();
        let indices = sparse.indices.as_ref().cloned().unwrap_or_default();
        reader.inside_only(&values)?;
        reader.inside_only(&indices)?;
        reader.define(&values.name, "a sparse initializer")?;
    }
    reader.nodes(std::mem::take(&mut proto.node))?;
    for info in std::mem::take(&mut proto.output) {
        let value = *reader.by_name.get(&info.name).ok_or_else(|| {
            Error::onnx(path, format!("the output `{}` is made by no operator", info.name))
        })?;
        if reader.graph.outputs.contains(&value) {
            return Err(Error::onnx(path, format!("the output `{}` stands twice", info.name)));
        }
        reader.graph.outputs.push(value);
        declared.insert(value, info);
    }
    if reader.graph.outputs.is_empty() {
        return Err(Error::onnx(path, "its graph has no output"));
    }
    let Reader { mut graph, external, .. } = reader;
    graph.frame =
        Frame { model: Some(Box::new(model)), graph: proto, declared, tensors: described };
    Ok(ReadGraph { graph, external_files: external })
}

fn opsets(path: &Path, imports: &[OperatorSetIdProto]) -> Result<BTreeMap<String, i64>> {
    let mut opsets = BTreeMap::new();
    for import in imports {
        if opsets.insert(import.domain.clone(), import.version).is_some() {
            return Err(Error::onnx(
                path,
                format!("it imports the operator set `{}` twice", import.domain),
            ));
        }
    }
    if opsets.is_empty() {
        return Err(Error::onnx(path, "it names no operator set; export it with a newer tool"));
    }
    Ok(opsets)
}

struct Reader<'a> {
    path: &'a Path,
    graph: Graph,
    by_name: HashMap<String, Value>,
    /// Declared types by name.
    kinds: HashMap<String, TypeProto>,
    /// Values that are initializers.
    held: HashSet<Value>,
    external: BTreeSet<PathBuf>,
}

impl Reader<'_> {
    fn error(&self, reason: String) -> Error {
        Error::onnx(self.path, reason)
    }

    /// A new value; its name must be free.
    fn define(&mut self, name: &str, what: &str) -> Result<Value> {
        if name.is_empty() {
            return Err(self.error(format!("{what} has no name")));
        }
        if self.by_name.contains_key(name) {
            return Err(self.error(format!("the name `{name}` of {what} is taken already")));
        }
        let kind = self.kinds.get(name).cloned();
        let kind = kind.and_then(|kind| self.kind(&kind));
        let value = self.graph.push_value(name.into(), kind);
        self.graph.names.insert(name.into(), 0);
        self.by_name.insert(name.into(), value);
        Ok(value)
    }

    fn initializer(
        &mut self,
        proto: TensorProto,
        left: Option<tensors::FileRange>,
    ) -> Result<Value> {
        let name = proto.name.clone();
        // A default value of an input shares the input's name.
        let existing = self.by_name.get(&name).copied();
        let value = match existing {
            Some(value) if self.graph.inputs.contains(&value) => value,
            _ => self.define(&name, "an initializer")?,
        };
        if !self.held.insert(value) {
            return Err(self.error(format!("two initializers have the name `{name}`")));
        }
        let (tensor, file) = tensors::tensor(self.path, proto, left)?;
        self.external.extend(file);
        self.graph.declare_type(value, type_of(&tensor));
        self.graph.initializers.push((value, tensor));
        Ok(value)
    }

    fn nodes(&mut self, nodes: Vec<NodeProto>) -> Result<()> {
        let mut later: HashMap<String, String> = HashMap::new();
        for node in &nodes {
            for output in &node.output {
                later.insert(output.clone(), title(node));
            }
        }
        let mut names = HashSet::new();
        for node in nodes {
            let title = title(&node);
            if node.op_type.is_empty() {
                return Err(self.error(format!("{title} names no operator")));
            }
            if !node.name.is_empty() && !names.insert(node.name.clone()) {
                return Err(self.error(format!("two nodes have the name `{}`", node.name)));
            }
            let inputs = node
                .input
                .iter()
                .map(|name| self.known(name, &title, &later))
                .collect::<Result<Vec<_>>>()?;
            for attribute in &node.attribute {
                self.check_attribute(attribute, &title)?;
            }
            let outputs = node
                .output
                .iter()
                .map(|name| match name.as_str() {
                    "" => Ok(None),
                    name => self.define(name, &format!("an output of {title}")).map(Some),
                })
                .collect::<Result<Vec<_>>>()?;
            self.graph.names.insert(node.name.clone(), 0);
            self.graph.nodes.push(Node {
                name: node.name,
                operator: node.op_type,
                domain: node.domain,
                inputs,
                outputs,
                attributes: node.attribute,
                extra: NodeExtra {
                    overload: node.overload,
                    doc: node.doc_string,
                    metadata: node.metadata_props,
                    unknown: node.special_fields,
                },
            });
        }
        Ok(())
    }

    fn known(
        &self,
        name: &str,
        reader: &str,
        later: &HashMap<String, String>,
    ) -> Result<Option<Value>> {
        if name.is_empty() {
            return Ok(None);
        }
        if let Some(&value) = self.by_name.get(name) {
            return Ok(Some(value));
        }
        Err(self.error(match later.get(name) {
            Some(maker) => format!(
                "{reader} reads `{name}`, which only {maker} makes, itself or later on: the nodes \
                 form a cycle or are out of order"
            ),
            None => format!("{reader} reads `{name}`, which nothing makes"),
        }))
    }

    /// Tensors within attributes must be inside the file.
    fn check_attribute(&self, attribute: &AttributeProto, title: &str) -> Result<()> {
        for tensor in attribute.t.iter().chain(&attribute.tensors) {
            self.inside_only(tensor)?;
        }
        for graph in attribute.g.iter().chain(&attribute.graphs) {
            for tensor in &graph.initializer {
                self.inside_only(tensor)?;
            }
            for node in &graph.node {
                for inner in &node.attribute {
                    self.check_attribute(inner, title)?;
                }
            }
        }
        Ok(())
    }

    fn inside_only(&self, tensor: &TensorProto) -> Result<()> {
        if tensors::is_external(tensor) {
            return Err(Error::tensor(
                self.path,
                &tensor.name,
                "is external data of a subgraph or an attribute, which is not supported; save the \
                 model with such tensors inside",
            ));
        }
        Ok(())
    }

    /// A declared type; `None` when it is no tensor or says too little.
    fn kind(&mut self, proto: &TypeProto) -> Option<TensorType> {
        let Some(type_proto::Value::TensorType(tensor)) = &proto.value else { return None };
        if tensor.elem_type == 0 {
            return None;
        }
        let shape = tensor.shape.as_ref()?;
        let shape = shape
            .dim
            .iter()
            .map(|dim| match &dim.value {
                Some(tensor_shape_proto::dimension::Value::DimValue(size)) => {
                    usize::try_from(*size)
                        .map_or_else(|_| self.graph.fresh_dim("unknown"), Dim::from)
                }
                Some(tensor_shape_proto::dimension::Value::DimParam(name)) if !name.is_empty() => {
                    Dim::symbol(name)
                }
                _ => self.graph.fresh_dim("unknown"),
            })
            .collect();
        Some(TensorType::new(ElementType::from_code(tensor.elem_type), shape))
    }
}

fn type_of(tensor: &Tensor) -> TensorType {
    TensorType::new(tensor.element, tensor.dims.iter().map(|&dim| Dim::from(dim)).collect())
}

/// A node for messages: its operator, and its name or its first output.
fn title(node: &NodeProto) -> String {
    let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
    match name {
        Some(name) => format!("{} `{name}`", node.op_type),
        None => format!("a node {}", node.op_type),
    }
}

/// Names that the subgraphs of `attributes` read, theirs and those around them.
pub(crate) fn captured(attributes: &[AttributeProto]) -> HashSet<&str> {
    fn collect<'a>(graph: &'a GraphProto, names: &mut HashSet<&'a str>) {
        for node in &graph.node {
            names.extend(node.input.iter().map(String::as_str));
            for attribute in &node.attribute {
                for graph in attribute.g.iter().chain(&attribute.graphs) {
                    collect(graph, names);
                }
            }
        }
        names.extend(graph.output.iter().map(|info: &ValueInfoProto| info.name.as_str()));
    }
    let mut names = HashSet::new();
    for attribute in attributes {
        for graph in attribute.g.iter().chain(&attribute.graphs) {
            collect(graph, &mut names);
        }
    }
    names
}
