//! What the integration tests share: the engine, and one run of a graph.
#![allow(dead_code)]

use std::io::BufWriter;
use std::path::Path;

use offshoot::Engine;
use offshoot_export::graph::Graph;
use offshoot_export::graph::external::{Layout, WEIGHTS_FILE};
use onnx_protobuf::Message;
use ort::session::Session;
use ort::value::TensorRef;

/// ONNX Runtime, from wherever the runtime finds it.
pub(crate) fn engine() -> Engine {
    if std::env::var_os(offshoot::library::LIBRARY_VARIABLE).is_none() {
        offshoot_models::packages::onnx_runtime(&mut |_| {}).expect("ONNX Runtime's package");
    }
    Engine::load().expect("ONNX Runtime")
}

/// Writes the graph and its weights to a folder, as a bundle holds them.
pub(crate) fn write(graph: &Graph, folder: &Path) -> offshoot_export::Result<()> {
    let layout = Layout::new(graph)?;
    let mut weights = BufWriter::new(std::fs::File::create(folder.join(WEIGHTS_FILE)).unwrap());
    layout.write(graph, &mut weights, &mut |_| {})?;
    std::io::Write::flush(&mut weights).unwrap();
    let model = graph.to_model(&layout)?.write_to_bytes().unwrap();
    std::fs::write(folder.join("model.onnx"), model).unwrap();
    Ok(())
}

/// Integers `[batch, tokens]`, row by row.
pub(crate) struct Ids {
    pub(crate) shape: [usize; 2],
    pub(crate) values: Vec<i64>,
}

/// The only output of the graph in `folder` for the inputs `input_ids` and
/// `attention_mask`.
pub(crate) fn run(folder: &Path, ids: &Ids, mask: &Ids) -> Vec<f32> {
    let mut session = Session::builder(engine().environment())
        .unwrap()
        .with_intra_threads(1)
        .unwrap()
        .commit_from_file(folder.join("model.onnx"))
        .unwrap();
    let ids = TensorRef::from_array_view((ids.shape, &ids.values[..])).unwrap();
    let mask = TensorRef::from_array_view((mask.shape, &mask.values[..])).unwrap();
    let outputs = session.run(ort::inputs!["input_ids" => ids, "attention_mask" => mask]).unwrap();
    outputs[0].try_extract_tensor::<f32>().unwrap().1.to_vec()
}
