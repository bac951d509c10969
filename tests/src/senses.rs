//! Encoders of images and signals whose embeddings are known: one matrix product with the
//! values of an input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use offshoot::bundle::{
    FORMAT_VERSION, ImageConfig, Manifest, Modality, Pooling, Provenance, SignalConfig, Similarity,
};
use offshoot_export::archive::BundleWriter;
use offshoot_export::graph::external::Layout;
use offshoot_export::graph::{Dim, ElementType, Graph, Lowering, Tensor, Value};
use offshoot_export::shape;

/// Width of the embeddings.
pub const WIDTH: usize = 8;

/// The images that the encoder of images reads.
pub const IMAGE: ImageConfig = ImageConfig { height: 6, width: 5, channels: 3 };

/// The windows that the encoder of signals reads.
pub fn signal() -> SignalConfig {
    SignalConfig {
        channels: 3,
        length: 20,
        channel_names: ["x", "y", "z"].map(String::from).to_vec(),
        sampling_rate: Some(10.0),
    }
}

/// Element `(row, column)` of the matrix: an exact multiple of 1/64.
fn weight(row: usize, column: usize) -> f32 {
    ((row * 7 + column * 13 + row * row % 5) % 23) as f32 / 64.0 - 0.171_875
}

/// The embedding of an input whose values, in the graph's order, are `values`: what the
/// graphs compute, in double precision.
pub fn embedding(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sums = vec![0.0; WIDTH];
    for (row, value) in values.into_iter().enumerate() {
        for (column, sum) in sums.iter_mut().enumerate() {
            *sum += value * f64::from(weight(row, column));
        }
    }
    sums
}

/// The embedding of an image's samples, which the graph divides by 255.
pub fn image_embedding(pixels: &[u8]) -> Vec<f64> {
    embedding(pixels.iter().map(|&sample| f64::from(sample) / 255.0))
}

/// Writes the encoder of images as `folder/NAME.offshoot`.
///
/// # Panics
/// When that fails.
pub fn image_bundle(folder: &Path, name: &str) -> PathBuf {
    let ImageConfig { height, width, channels } = IMAGE;
    let mut graph = Graph::new(name, Lowering::Standard);
    let pixels = graph
        .input("pixels", ElementType::Uint8, shape!["batch", height, width, channels])
        .expect("an input");
    let values = graph.cast(pixels, ElementType::Float32).expect("a cast");
    let most = graph.scalar(255.0).expect("a number");
    let values = graph.div(values, most).expect("a quotient");
    let manifest = Manifest { image: Some(IMAGE), ..manifest(name, Modality::Image) };
    write(graph, values, height * width * channels, manifest, folder)
}

/// Writes the encoder of signals as `folder/NAME.offshoot`.
///
/// # Panics
/// When that fails.
pub fn signal_bundle(folder: &Path, name: &str) -> PathBuf {
    let SignalConfig { channels, length, .. } = signal();
    let mut graph = Graph::new(name, Lowering::Standard);
    let values = graph
        .input("signals", ElementType::Float32, shape!["batch", channels, length])
        .expect("an input");
    let manifest = Manifest { signal: Some(signal()), ..manifest(name, Modality::Signal) };
    write(graph, values, channels * length, manifest, folder)
}

fn write(
    mut graph: Graph,
    values: Value,
    count: usize,
    manifest: Manifest,
    folder: &Path,
) -> PathBuf {
    let batch = Dim::symbol("batch");
    let flat = graph.reshape(values, vec![batch, Dim::from(count)]).expect("a reshape");
    let weights: Vec<f32> =
        (0..count).flat_map(|row| (0..WIDTH).map(move |column| weight(row, column))).collect();
    let weights =
        graph.initializer("weight", Tensor::from_f32(&[count, WIDTH], &weights)).expect("weights");
    let embedding = graph.matmul(flat, weights).expect("a product");
    graph.output("embedding", embedding).expect("an output");
    let path = folder.join(format!("{}.offshoot", manifest.name));
    let mut bundle = BundleWriter::create(&path, true).expect("a bundle");
    let layout = Layout::new(&graph).expect("a layout");
    bundle.add_graph(&graph, &layout, &mut |_| {}).expect("the graph is written");
    bundle.finish(Manifest { parameters: graph.parameters(), ..manifest }).expect("a manifest");
    path
}

fn manifest(name: &str, modality: Modality) -> Manifest {
    Manifest {
        format: FORMAT_VERSION,
        name: name.into(),
        modality,
        embedding_size: WIDTH,
        pooling: Pooling::InGraph,
        normalized: false,
        text: None,
        image: None,
        signal: None,
        similarity: Similarity::Cosine,
        provenance: Provenance {
            source: "a matrix".into(),
            architecture: "product".into(),
            weights_sha256: None,
            tool: "offshoot-tests".into(),
            pretraining: None,
            changes: Vec::new(),
        },
        licence: None,
        parameters: 0,
        entries: BTreeMap::new(),
    }
}
