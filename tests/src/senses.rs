//! Encoders of images and signals whose embeddings are known, one matrix product with the
//! values of an input, and a residual network of convolutions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use offshoot::bundle::{
    FORMAT_VERSION, ImageConfig, Manifest, Modality, Pooling, Provenance, SignalConfig, Similarity,
};
use offshoot_export::archive::BundleWriter;
use offshoot_export::graph::external::Layout;
use offshoot_export::graph::{Attribute, Dim, ElementType, Graph, Lowering, Tensor, Value};
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

/// The images that the residual network reads.
pub const PICTURE: ImageConfig = ImageConfig { height: 16, width: 16, channels: 3 };

/// Width of its embeddings.
const CHANNELS: usize = 64;

/// Writes a small residual network of images as `folder/NAME.offshoot`: convolutions with
/// biases, one whose channels are in groups, and skips; one `Relu` stands there twice. Its weights
/// look like random ones.
///
/// # Panics
/// When that fails.
pub fn residual_bundle(folder: &Path, name: &str) -> PathBuf {
    let ImageConfig { height, width, channels } = PICTURE;
    let mut graph = Graph::new(name, Lowering::Standard);
    let g = &mut graph;
    let pixels = g
        .input("pixels", ElementType::Uint8, shape!["batch", height, width, channels])
        .expect("an input");
    let values = g.cast(pixels, ElementType::Float32).expect("a cast");
    let most = g.scalar(255.0).expect("a number");
    let values = g.div(values, most).expect("a quotient");
    let x = g.transpose(values, &[0, 3, 1, 2]).expect("channels first");
    let relu = |g: &mut Graph, x| g.relu(x).expect("a relu");
    let x = convolution(g, "stem", x, [32, 3, 3], 1, 1);
    let x = relu(g, x);
    let y = convolution(g, "first", x, [32, 32, 3], 1, 1);
    let y = relu(g, y);
    let y = convolution(g, "apart", y, [32, 1, 3], 1, 32);
    let x = g.add(x, y).expect("a sum");
    let (x, again) = (relu(g, x), relu(g, x));
    let y = convolution(g, "second", again, [CHANNELS, 32, 3], 2, 1);
    let y = relu(g, y);
    let y = convolution(g, "third", y, [CHANNELS, CHANNELS, 3], 1, 1);
    let skip = convolution(g, "skip", x, [CHANNELS, 32, 1], 2, 1);
    let x = g.add(skip, y).expect("a sum");
    let x = relu(g, x);
    let x = g.reduce_mean(x, 3).expect("a mean");
    let x = g.reduce_mean(x, 2).expect("a mean");
    let batch = Dim::symbol("batch");
    let embedding = g.reshape(x, vec![batch, Dim::from(CHANNELS)]).expect("a reshape");
    let manifest = Manifest {
        image: Some(PICTURE),
        embedding_size: CHANNELS,
        ..manifest(name, Modality::Image)
    };
    finish(graph, embedding, manifest, folder)
}

/// A convolution with a bias and a weight `[out, in / groups, kernel, kernel]`.
fn convolution(
    g: &mut Graph,
    name: &str,
    x: Value,
    [out, inputs, kernel]: [usize; 3],
    stride: i64,
    groups: i64,
) -> Value {
    let size = inputs * kernel * kernel;
    let mut state = name.bytes().fold(17u64, |state, byte| state * 31 + u64::from(byte));
    // Of variance 2 / size: uniform numbers of variance 1/12, spread.
    let spread = (24.0 / size as f64).sqrt();
    let mut draw = |spread: f64| {
        // Knuth's constants (MMIX).
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((state >> 40) as f64 / f64::from(1u32 << 24) - 0.5) * spread) as f32
    };
    let weights: Vec<f32> = (0..out * size).map(|_| draw(spread)).collect();
    let biases: Vec<f32> = (0..out).map(|_| draw(0.2)).collect();
    let weights = Tensor::from_f32(&[out, inputs, kernel, kernel], &weights);
    let weights = g.initializer(&format!("{name}.weight"), weights).expect("weights");
    let biases = Tensor::from_f32(&[out], &biases);
    let biases = g.initializer(&format!("{name}.bias"), biases).expect("biases");
    let attributes = vec![
        Attribute::ints("kernel_shape", vec![kernel as i64; 2]),
        Attribute::ints("pads", vec![(kernel / 2) as i64; 4]),
        Attribute::ints("strides", vec![stride; 2]),
        Attribute::int("group", groups),
    ];
    g.op("Conv", &[x, weights, biases], attributes).expect("a convolution")
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
    finish(graph, embedding, manifest, folder)
}

fn finish(mut graph: Graph, embedding: Value, manifest: Manifest, folder: &Path) -> PathBuf {
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
