//! Plans of bundles from checkpoints and from ready-made ONNX encoders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use offshoot::bundle::{FORMAT_VERSION, Manifest, Modality, Pooling, Provenance, TextConfig};

use super::json::Object;
use super::modules::{Chain, Step};
use super::pooling::PoolingConfig;
use super::settings::Settings;
use super::tokenizer::TokenizerFile;
use super::{ImportOptions, Plan, files, head};
use crate::architectures::{self, TokenEncoder};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::onnx::{self, EncoderOutput, OnnxEncoder, Surroundings};

/// A plan from a folder with `config.json` and safetensors files.
pub(super) fn from_checkpoint(
    folder: &Path,
    name: String,
    options: &ImportOptions,
) -> Result<Plan> {
    let folder = Folder::read(folder)?;
    let transformer = &folder.chain.transformer;
    let checkpoint = Checkpoint::open(transformer)?;
    let config = Object::read(&transformer.join("config.json"))?;
    let encoder =
        architectures::build(config.path(), &config.value(), &checkpoint, options.lowering)?;
    let TokenEncoder { mut graph, attention_mask, token_vectors, .. } = encoder;
    let (pooling, mut notes) = folder.pooling();
    let embedding_size =
        head::finish(&mut graph, &folder.chain, &pooling, token_vectors, attention_mask)?;
    let single = transformer.join("model.safetensors");
    let described = Described {
        name,
        pooling: pooling.described(),
        normalized: folder.chain.normalizes(),
        embedding_size,
        positions: Some(encoder.max_tokens),
        vocabulary: Some(encoder.vocabulary),
        architecture: encoder.architecture,
        weights_file: single.is_file().then_some(single),
    };
    folder.plan(&config, graph, described, options, &mut notes)
}

/// A plan from the ONNX file `file`, described by the files of `folder`.
pub(super) fn from_onnx(
    file: &Path,
    folder: &Path,
    name: String,
    options: &ImportOptions,
) -> Result<Plan> {
    let folder = Folder::read(folder)?;
    let config = Object::read_or_empty(&folder.chain.transformer.join("config.json"))?;
    let around = surroundings(&folder, &config)?;
    let OnnxEncoder { mut graph, attention_mask, result, vocabulary, weights_file } =
        onnx::read_encoder(file, &around)?;
    let (pooling, mut notes) = folder.pooling();
    let (embedding_size, described) = match result {
        EncoderOutput::Tokens(tokens) => {
            let size = head::finish(&mut graph, &folder.chain, &pooling, tokens, attention_mask)?;
            (size, pooling.described())
        }
        EncoderOutput::Embedding(mut embedding) => {
            notes.retain(|note| note != MEAN_ASSUMED);
            // The exporter put all modules into the graph, or left out the last:
            // unit vectors stay what they are.
            if folder.chain.normalizes() {
                embedding = graph.in_scope("normalize", |g| g.unit_norm(embedding))?;
            }
            (head::output(&mut graph, embedding)?, Pooling::InGraph)
        }
    };
    let vocabulary = match vocabulary {
        Some(rows) => Some(rows),
        None => config.count("vocab_size")?,
    };
    let described = Described {
        name,
        pooling: described,
        normalized: folder.chain.normalizes(),
        embedding_size,
        positions: positions(&config, around.first_position)?,
        vocabulary,
        architecture: "onnx",
        weights_file,
    };
    folder.plan(&config, graph, described, options, &mut notes)
}

const MEAN_ASSUMED: &str =
    "the folder has no modules.json, so token vectors are averaged (mean pooling)";

/// A published folder's own description.
struct Folder {
    path: PathBuf,
    chain: Chain,
    settings: Settings,
}

/// What building the graph has told.
struct Described {
    name: String,
    pooling: Pooling,
    normalized: bool,
    embedding_size: usize,
    positions: Option<usize>,
    vocabulary: Option<usize>,
    architecture: &'static str,
    weights_file: Option<PathBuf>,
}

impl Folder {
    fn read(path: &Path) -> Result<Self> {
        let chain = Chain::read(path)?;
        let settings = Settings::read(path, &chain.transformer)?;
        if let Some((object, pooling)) = &chain.pooling {
            pooling.check_prompts(object, settings.has_prompts())?;
        }
        Ok(Self { path: path.into(), chain, settings })
    }

    /// The pooling to use, and a note where it had to be assumed.
    fn pooling(&self) -> (PoolingConfig, Vec<String>) {
        match &self.chain.pooling {
            Some((_, pooling)) => (pooling.clone(), Vec::new()),
            None => (PoolingConfig::default(), vec![MEAN_ASSUMED.into()]),
        }
    }

    fn plan(
        self,
        config: &Object,
        graph: Graph,
        described: Described,
        options: &ImportOptions,
        notes: &mut Vec<String>,
    ) -> Result<Plan> {
        let Settings { max_tokens, lower_case, prompts, default_prompt, similarity, licence } =
            self.settings;
        let max_tokens = longest(&self.path, options.max_tokens, max_tokens, described.positions)?;
        let tokenizer =
            TokenizerFile::read(&self.chain.transformer, config, lower_case, described.vocabulary)?;
        notes.extend(tokenizer.notes);
        let source = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let source =
            source.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let manifest = Manifest {
            format: FORMAT_VERSION,
            name: described.name,
            modality: Modality::Text,
            embedding_size: described.embedding_size,
            pooling: described.pooling,
            normalized: described.normalized,
            text: Some(TextConfig {
                max_tokens,
                // Lower-casing is part of the bundle's tokenizer.
                lower_case: false,
                prompts,
                default_prompt,
                pad_id: tokenizer.pad_id,
                pad_token: tokenizer.pad_token,
            }),
            image: None,
            signal: None,
            similarity,
            provenance: Provenance {
                source,
                architecture: described.architecture.into(),
                weights_sha256: None,
                tool: concat!("offshoot-export ", env!("CARGO_PKG_VERSION")).into(),
                pretraining: None,
                changes: Vec::new(),
            },
            licence: options.licence.clone().or(licence),
            parameters: 0,
            entries: BTreeMap::new(),
        };
        let carried = files::carried(&self.path, &self.chain)?;
        Ok(Plan {
            graph,
            manifest,
            tokenizer: Some(tokenizer.bytes),
            carried,
            weights_file: described.weights_file,
            notes: std::mem::take(notes),
        })
    }
}

/// Most tokens of a text: what the caller asks for, else the smallest limit.
fn longest(
    folder: &Path,
    asked: Option<usize>,
    stated: Option<usize>,
    positions: Option<usize>,
) -> Result<usize> {
    if let Some(asked) = asked {
        return match positions {
            _ if asked == 0 => Err(Error::unsupported(folder, "a text must have room for a token")),
            Some(positions) if asked > positions => Err(Error::unsupported(
                folder,
                format!("{asked} tokens were asked for and the encoder has {positions} positions"),
            )),
            _ => Ok(asked),
        };
    }
    [stated, positions].into_iter().flatten().min().ok_or_else(|| {
        Error::unsupported(
            folder,
            "no file says how many tokens the encoder reads (`max_seq_length`, `model_max_length` \
             or `max_position_embeddings`); state the most tokens of a text",
        )
    })
}

/// What an ONNX file's surroundings say of its shapes and positions.
fn surroundings(folder: &Folder, config: &Object) -> Result<Surroundings> {
    let stated = folder.chain.pooling.as_ref().and_then(|(_, pooling)| pooling.width);
    let mut token_width = stated;
    for key in ["hidden_size", "dim", "d_model"] {
        if token_width.is_none() {
            token_width = config.count(key)?;
        }
    }
    let pools = folder.pooling().0.pools.len();
    let last_dense = folder.chain.after.iter().rev().find_map(|step| match step {
        Step::Dense(dense) => Some(dense.outputs),
        Step::Normalize => None,
    });
    let embedding_width =
        last_dense.or_else(|| token_width.and_then(|width| width.checked_mul(pools)));
    // These count positions from behind the padding token's.
    let family = config.text("model_type")?.unwrap_or("");
    let first_position = match family {
        "roberta" | "xlm-roberta" | "xlm-roberta-xl" | "camembert" | "mpnet" | "longformer" => {
            config.count("pad_token_id")?.unwrap_or(1).saturating_add(1)
        }
        _ => 0,
    };
    let first_position = i64::try_from(first_position).unwrap_or(0);
    Ok(Surroundings { token_width, embedding_width, first_position })
}

/// How many positions the encoder of `config.json` has, where it says so.
fn positions(config: &Object, first: i64) -> Result<Option<usize>> {
    if matches!(config.get("max_position_embeddings"), Some(value) if value.as_i64() == Some(-1)) {
        return Ok(None);
    }
    let Some(all) = config.count("max_position_embeddings")? else { return Ok(None) };
    let first = usize::try_from(first).unwrap_or(0);
    match all.checked_sub(first) {
        Some(left) if left > 0 => Ok(Some(left)),
        _ => {
            Err(config
                .error("max_position_embeddings", format!("is {all}, which leaves no position")))
        }
    }
}
