//! Points a graph's external weights at the file that is to be mapped.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use onnx_protobuf::tensor_proto::DataLocation;
use onnx_protobuf::{GraphProto, Message, ModelProto, StringStringEntryProto, TensorProto};
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use crate::error::{Error, Result as EngineResult, engine};

/// A part of a file that an entry name of the bundle stands for.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// Name of the file, relative to the folder that ONNX Runtime is told.
    pub(crate) file: String,
    /// First byte.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) size: u64,
}

/// The graph `model` with the locations of its external tensors, which are entry
/// names of the bundle, replaced by the `spans` that these names stand for.
///
/// # Errors
/// The reason, when the graph is damaged or a tensor leaves its entry.
pub(crate) fn redirect(model: &[u8], spans: &BTreeMap<String, Span>) -> Result<Vec<u8>, String> {
    let mut model = ModelProto::parse_from_bytes(model).map_err(|e| e.to_string())?;
    if let Some(graph) = model.graph.as_mut() {
        redirect_graph(graph, spans, 0)?;
    }
    model.write_to_bytes().map_err(|e| e.to_string())
}

/// Deepest nesting of graphs in graphs that is followed.
const MAX_DEPTH: usize = 32;

fn redirect_graph(
    graph: &mut GraphProto,
    spans: &BTreeMap<String, Span>,
    depth: usize,
) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("its graphs are nested more than {MAX_DEPTH} deep"));
    }
    for tensor in &mut graph.initializer {
        redirect_tensor(tensor, spans)?;
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        for tensor in attribute.t.as_mut().into_iter().chain(&mut attribute.tensors) {
            redirect_tensor(tensor, spans)?;
        }
        for graph in attribute.g.as_mut().into_iter().chain(&mut attribute.graphs) {
            redirect_graph(graph, spans, depth + 1)?;
        }
    }
    Ok(())
}

fn redirect_tensor(tensor: &mut TensorProto, spans: &BTreeMap<String, Span>) -> Result<(), String> {
    if tensor.data_location.enum_value_or_default() != DataLocation::EXTERNAL {
        return Ok(());
    }
    let bad = |reason: String| format!("its tensor `{}` {reason}", tensor.name);
    let value = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| &e.value);
    let number = |key: &str| -> Result<Option<u64>, String> {
        value(key)
            .map(|text| text.parse().map_err(|_| bad(format!("has the {key} {text:?}"))))
            .transpose()
    };
    let location = value("location").ok_or_else(|| bad("has no location".into()))?;
    let span = spans
        .get(location)
        .ok_or_else(|| bad(format!("lies in {location:?}, which is not an entry")))?;
    let offset = number("offset")?.unwrap_or(0);
    let length = match number("length")? {
        Some(length) => length,
        None => span.size.saturating_sub(offset),
    };
    if offset.checked_add(length).is_none_or(|end| end > span.size) {
        return Err(bad(format!(
            "takes {length} bytes from {offset} of `{location}`, which has {}",
            span.size
        )));
    }
    let offset =
        span.offset.checked_add(offset).ok_or_else(|| bad("lies beyond any file".to_owned()))?;
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: key.into(),
        value,
        ..Default::default()
    };
    tensor.external_data = vec![
        entry("location", span.file.clone()),
        entry("offset", offset.to_string()),
        entry("length", length.to_string()),
    ];
    Ok(())
}

/// Opens a session on the graph `model`, whose external weights are the `spans` of
/// files in the folder `base` and are mapped from there. `refuse` makes an error of
/// what is wrong with the graph.
pub(crate) fn commit_mapped(
    builder: SessionBuilder,
    model: &[u8],
    base: Option<&Path>,
    spans: &BTreeMap<String, Span>,
    act: &'static str,
    refuse: &dyn Fn(String) -> Error,
) -> EngineResult<Session> {
    let folder = match base {
        Some(base) if !base.as_os_str().is_empty() => base,
        _ => Path::new("."),
    };
    let folder = fs::canonicalize(folder).map_err(|e| Error::io("open", folder, e))?;
    let bytes = redirect(model, spans).map_err(refuse)?;
    builder
        .with_config_entry(
            "session.model_external_initializers_file_folder_path",
            folder.to_string_lossy(),
        )
        .map_err(engine(act))?
        .commit_from_memory(&bytes)
        .map_err(engine(act))
}

/// The name of a file, as ONNX Runtime needs it.
pub(crate) fn utf8_name(file: &Path) -> EngineResult<String> {
    file.file_name().and_then(|name| name.to_str()).map(str::to_owned).ok_or_else(|| {
        Error::Argument(format!(
            "{}: the file name is not UTF-8, which ONNX Runtime needs; rename the file",
            file.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(location: &str, offset: &str, length: &str) -> Vec<u8> {
        let entry = |key: &str, value: &str| StringStringEntryProto {
            key: key.into(),
            value: value.into(),
            ..Default::default()
        };
        let tensor = TensorProto {
            name: "w".into(),
            data_location: DataLocation::EXTERNAL.into(),
            external_data: vec![
                entry("location", location),
                entry("offset", offset),
                entry("length", length),
            ],
            ..Default::default()
        };
        let graph = GraphProto { initializer: vec![tensor], ..Default::default() };
        ModelProto { graph: Some(graph).into(), ..Default::default() }.write_to_bytes().unwrap()
    }

    fn spans() -> BTreeMap<String, Span> {
        let span = Span { file: "b.offshoot".into(), offset: 8192, size: 100 };
        BTreeMap::from([("weights.bin".to_owned(), span)])
    }

    #[test]
    fn offsets_move_to_the_archive() {
        let bytes = redirect(&model("weights.bin", "64", "36"), &spans()).unwrap();
        let model = ModelProto::parse_from_bytes(&bytes).unwrap();
        let data: Vec<_> = model.graph.initializer[0]
            .external_data
            .iter()
            .map(|e| (e.key.as_str(), e.value.as_str()))
            .collect();
        assert_eq!(data, [("location", "b.offshoot"), ("offset", "8256"), ("length", "36")]);
    }

    #[test]
    fn tensors_outside_their_entry_are_refused() {
        for (location, offset, length, wanted) in [
            ("../secret", "0", "4", "not an entry"),
            ("weights.bin", "64", "37", "which has 100"),
            ("weights.bin", "18446744073709551615", "2", "which has 100"),
            ("weights.bin", "-1", "2", "has the offset"),
        ] {
            let error = redirect(&model(location, offset, length), &spans()).unwrap_err();
            assert!(error.contains("`w`") && error.contains(wanted), "{error}");
        }
        assert!(redirect(b"\xff\xff\xff", &spans()).is_err());
    }
}
