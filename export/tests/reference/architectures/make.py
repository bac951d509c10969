"""Makes the fixtures of `tests/architectures.rs`: small random encoders and what
`transformers` computes with them.

    pip install torch==2.15 transformers==5.24 safetensors
    python make.py

Each case is a folder with `config.json`, the weights as published models hold
them, and `expected.safetensors`: `input_ids` and `attention_mask` `[texts,
tokens]`, and `token_vectors` `[real tokens, width]`, the last layer's vectors of
the tokens that are not padding, text after text. They are computed in 32-bit
floats from the weights as they are stored.
"""

import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaModel,
)

HERE = Path(__file__).parent
VOCABULARY = 97
SIZES = dict(vocab_size=VOCABULARY, num_hidden_layers=2, num_attention_heads=4)
BERT = dict(SIZES, hidden_size=32, intermediate_size=64, max_position_embeddings=40)
SHORT = (17, 1, 9, 4)


def randomise(model):
    """Gives every weight a value that shows in the output."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape)
        if name.lower().endswith("norm.weight"):
            parameter.data = 1 + 0.2 * noise
        elif "relative_attention_bias" in name:
            parameter.data = 2 * noise
        elif "embeddings" in name:
            parameter.data = noise
        else:
            parameter.data = 0.25 * noise


def save_weights(folder, tensors, shards):
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return
    names = sorted(tensors)
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = names[shard::shards]
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def case(
    name,
    config,
    kind,
    lengths=SHORT,
    dtype=torch.float32,
    shards=1,
    padding_inside=(),
    older_norms=False,
    older_keys=None,
):
    """Writes one case.

    `padding_inside` are columns of the first text that hold the padding's id.
    `older_norms` calls the norms' weights gamma and beta, as the first published
    checkpoints do. `older_keys` replaces keys of `config.json` by those that
    earlier versions of `transformers` wrote; `None` removes a key.
    """
    torch.manual_seed(sum(map(ord, name)))
    config._attn_implementation = "eager"
    model = kind(config).eval()
    randomise(model)
    # Buffers, such as the frequencies of rotary positions, are not stored: they
    # stay as they are.
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).to(torch.float32)
    encoder = getattr(model, model.base_model_prefix, model)

    pad = config.pad_token_id
    ids = torch.full((len(lengths), max(lengths)), pad)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(5, VOCABULARY, (length,))
        mask[row, :length] = 1
    ids[0, list(padding_inside)] = pad
    with torch.no_grad():
        vectors = encoder(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]

    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    seen = set()
    tensors = {}
    for key, tensor in model.state_dict().items():
        # The output layer of a language model shares the embedding's memory.
        if tensor.data_ptr() in seen:
            continue
        seen.add(tensor.data_ptr())
        if older_norms:
            key = key.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")
        stored = tensor.to(dtype) if tensor.is_floating_point() else tensor
        tensors[key] = stored.contiguous().clone()
    save_weights(folder, tensors, shards)
    written = config.to_dict()
    for key, value in (older_keys or {}).items():
        if value is None:
            written.pop(key, None)
        else:
            written[key] = value
    text = json.dumps(written, indent=1, sort_keys=True)
    (folder / "config.json").write_text(text + "\n")
    expected = {"input_ids": ids, "attention_mask": mask, "token_vectors": vectors.contiguous()}
    save_file(expected, folder / "expected.safetensors")
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size < 150_000, (name, size)
    print(f"{name:20} {size:7} bytes, rms {vectors.square().mean().sqrt():.2f}")
    return size


def main():
    assert transformers.__version__.startswith("5."), transformers.__version__
    half, brain = torch.float16, torch.bfloat16
    roberta = dict(BERT, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1)
    modern = dict(
        SIZES,
        hidden_size=32,
        intermediate_size=40,
        max_position_embeddings=128,
        local_attention=12,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
    )
    modern["num_hidden_layers"] = 4
    total = sum(
        [
            case("bert", BertConfig(**BERT, layer_norm_eps=1e-12), BertModel),
            case(
                "bert_masked_lm",
                BertConfig(**BERT, hidden_act="gelu_new"),
                BertForMaskedLM,
                dtype=half,
            ),
            case(
                "bert_sharded",
                BertConfig(**BERT, hidden_act="relu"),
                BertModel,
                dtype=half,
                shards=3,
                older_norms=True,
            ),
            case(
                "electra",
                ElectraConfig(**BERT, embedding_size=16, hidden_act="silu"),
                ElectraModel,
                dtype=brain,
            ),
            # Positions count the tokens that do not have the padding's id.
            case(
                "roberta",
                RobertaConfig(**roberta),
                RobertaForMaskedLM,
                dtype=half,
                padding_inside=(5, 6, 11),
            ),
            case(
                "xlm_roberta",
                XLMRobertaConfig(**dict(roberta, pad_token_id=3), layer_norm_eps=1e-5),
                XLMRobertaModel,
                dtype=brain,
            ),
            case(
                "distilbert",
                DistilBertConfig(
                    vocab_size=VOCABULARY,
                    dim=32,
                    hidden_dim=64,
                    n_layers=2,
                    n_heads=4,
                    max_position_embeddings=40,
                ),
                DistilBertModel,
            ),
            # Distances beyond 128, from which all share a bucket.
            case(
                "mpnet",
                MPNetConfig(**dict(BERT, max_position_embeddings=170), pad_token_id=1),
                MPNetModel,
                lengths=(150, 45, 2),
                dtype=half,
                padding_inside=(40,),
            ),
            # 50 tokens against a window of 6 to each side; layers 0 and 3 are global.
            case("modernbert", ModernBertConfig(**modern), ModernBertModel, (50, 3, 14), brain),
            case(
                "modernbert_older",
                ModernBertConfig(
                    **modern,
                    global_attn_every_n_layers=2,
                    global_rope_theta=20_000.0,
                    local_rope_theta=500.0,
                    attention_bias=True,
                    mlp_bias=True,
                    norm_bias=True,
                ),
                ModernBertForMaskedLM,
                (50, 3, 14),
                half,
                older_keys=dict(
                    layer_types=None,
                    rope_parameters=None,
                    global_attn_every_n_layers=2,
                    global_rope_theta=20_000.0,
                    local_rope_theta=500.0,
                ),
            ),
        ]
    )
    assert total < 1_000_000, total


if __name__ == "__main__":
    main()
