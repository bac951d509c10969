//! Writes adapters.

use std::collections::HashMap;
use std::path::Path;

use offshoot::bundle::{Bundle, MODEL};
use offshoot::{Adapter, AdapterManifest};
use onnx_protobuf::tensor_proto::DataLocation;
use onnx_protobuf::{ModelProto, StringStringEntryProto};
use protobuf::Message;

use crate::archive::Target;
use crate::error::{Error, Result};
use crate::graph::external::Layout;
use crate::graph::{Graph, Tensor};

/// Writes `graph`, an adapted graph of the encoder in `bundle`, as the adapter `output`.
/// The tensors of `trained` are put inside; all others of 1 KiB and more must be the
/// bundle's own and are left there.
///
/// # Errors
/// [`Error::Adapter`] when a trained tensor is not the graph's, or another large one is not
/// the bundle's; [`Error::Archive`] when something stands at `output` and overwriting was
/// not allowed; [`Error::Runtime`] when the bundle is damaged; [`Error::Io`].
pub fn write_adapter(
    bundle: &Bundle,
    graph: &Graph,
    trained: &[(String, Tensor)],
    method: &str,
    output: &Path,
    overwrite: bool,
) -> Result<AdapterManifest> {
    let target = Target::create(output, overwrite)?;
    let mut graph = graph.clone();
    replace(&mut graph, trained)?;
    let mut model = graph.to_model(&Layout::new(&graph)?)?;
    let places = places(bundle)?;
    let values: HashMap<&str, &Tensor> =
        trained.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    for tensor in model.graph.as_mut().into_iter().flat_map(|graph| &mut graph.initializer) {
        if tensor.data_location.enum_value_or_default() != DataLocation::EXTERNAL {
            continue;
        }
        if let Some(value) = values.get(tensor.name.as_str()) {
            tensor.external_data.clear();
            tensor.data_location = DataLocation::DEFAULT.into();
            tensor.raw_data = bytes(value, &tensor.name)?;
        } else if let Some(place) = places.get(&tensor.name) {
            tensor.external_data.clone_from(place);
        } else {
            return Err(Error::Adapter(format!(
                "the tensor `{}` is neither trained nor the bundle's own",
                tensor.name
            )));
        }
    }
    let model = model
        .write_to_bytes()
        .map_err(|error| Error::archive(output, format!("the graph cannot be written: {error}")))?;
    let manifest = AdapterManifest {
        encoder: bundle.manifest().name.clone(),
        encoder_digest: bundle.digest().to_owned(),
        method: method.into(),
        parameters: trained.iter().filter_map(|(_, t)| t.elements()).map(|n| n as u64).sum(),
        tool: format!("offshoot {}", env!("CARGO_PKG_VERSION")),
    };
    target.write(&Adapter::to_bytes(&manifest, &model)?)?;
    target.commit()?;
    Ok(manifest)
}

/// Puts trained tensors in the place of the graph's own of the same names.
pub(super) fn replace(graph: &mut Graph, trained: &[(String, Tensor)]) -> Result<()> {
    let mut left: HashMap<&str, &Tensor> =
        trained.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut wrong = None;
    graph.map_tensors(|name, tensor| {
        if let Some(value) = left.remove(name) {
            if value.dims != tensor.dims || value.element != tensor.element {
                wrong = Some(format!("the trained tensor `{name}` is {value:?}, not {tensor:?}"));
            }
            *tensor = value.clone();
        }
        Ok(())
    })?;
    if let Some(name) = left.keys().next() {
        wrong = Some(format!("the graph has no tensor `{name}` to replace by a trained one"));
    }
    wrong.map_or(Ok(()), |reason| Err(Error::Adapter(reason)))
}

/// Where the external tensors of a bundle's graph lie, by name.
fn places(bundle: &Bundle) -> Result<HashMap<String, Vec<StringStringEntryProto>>> {
    let model = ModelProto::parse_from_bytes(&bundle.read(MODEL)?)
        .map_err(|error| Error::archive(bundle.path(), format!("`{MODEL}`: {error}")))?;
    let graph = model.graph.into_option().unwrap_or_default();
    Ok(graph
        .initializer
        .into_iter()
        .filter(|tensor| !tensor.external_data.is_empty())
        .map(|tensor| (tensor.name, tensor.external_data))
        .collect())
}

/// The bytes of a tensor that is in memory.
pub(super) fn bytes(tensor: &Tensor, name: &str) -> Result<Vec<u8>> {
    match &tensor.data {
        crate::graph::TensorData::Bytes(bytes) => Ok(bytes.to_vec()),
        crate::graph::TensorData::Source(source) => {
            let mut bytes = Vec::new();
            source.write_to(&mut bytes)?;
            Ok(bytes)
        }
        crate::graph::TensorData::Proto(_) => {
            Err(Error::Adapter(format!("the tensor `{name}` is of a type that cannot be trained")))
        }
    }
}
