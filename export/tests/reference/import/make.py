"""Writes small published encoders and the embeddings that their libraries give.

    python make.py

Needs torch, transformers, sentence-transformers, onnx and onnxruntime (made with 2.15,
5.24, 6.2, 1.23 and 1.32). Each folder beside this file is a model as it would be
published, with expected.json: texts, their token ids and their embeddings. Weights are
random and drawn wide, so that a wrong pooling or a left-out bias shows.
"""

import json
import shutil
import string
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from onnx import TensorProto, helper, numpy_helper
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models as tokenizer_models

HERE = Path(__file__).parent
WIDTH = 16
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = list(string.ascii_lowercase)
WORDS = ["dog", "cat", "the", "runs", "sleep", "##s", "##ing", ".", ",", "!", "é", "中"]
VOCABULARY = SPECIAL + LETTERS + ["##" + letter for letter in LETTERS if letter != "s"] + WORDS
TEXTS = [
    "The dog runs.",
    "",
    "Cats sleep, dogs sleep!",
    "dog",
    "Ein 中 café",
    "the cat the cat the cat the cat the cat the cat the cat the cat the cat the cat the cat",
]


def fill(module, seed):
    """Draws every parameter anew."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.dim() > 1:
                tensor.copy_(noise * (1.0 if "embeddings" in name else 0.35))
            else:
                tensor.copy_(0.2 * noise + (1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0))


def plain(folder, seed):
    """A BERT folder in the layout of transformers."""
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=WIDTH, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=24, max_position_embeddings=24,
    )
    model = transformers.BertModel(config, add_pooling_layer=False)
    fill(model, seed)
    model.save_pretrained(folder)
    vocabulary = {token: i for i, token in enumerate(VOCABULARY)}
    tokenizer = transformers.BertTokenizer(vocabulary, model_max_length=24)
    tokenizer.save_pretrained(folder)
    return model.eval(), tokenizer


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def expected(folder, ids, embeddings, **more):
    rows = [[float(f"{x:.9g}") for x in row] for row in np.asarray(embeddings, dtype=np.float32)]
    value = {"texts": TEXTS, "ids": ids, "embeddings": rows, **more}
    (folder / "expected.json").write_text(json.dumps(value, ensure_ascii=False) + "\n")


def token_ids(tokenizer, texts, limit):
    return [tokenizer(t, truncation=True, max_length=limit)["input_ids"] for t in texts]


def published(name, seed, pooling, after, *, limit=20, prompts=None, default=None, old=False,
              lower=False, card=None):
    """A folder of sentence-transformers; `old` writes the keys of older releases."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(seed)  # for the pooler that the library adds and does not use
    plain(folder / "plain", seed)
    transformer = Transformer(str(folder / "plain"), max_seq_length=limit, do_lower_case=lower)
    modules = [transformer, Pooling(WIDTH, pooling_mode=pooling)] + after
    for i, module in enumerate(after):
        fill(module, seed + 10 + i)
    model = SentenceTransformer(modules=modules, device="cpu", prompts=prompts, default_prompt_name=default)
    model.save(str(folder), create_model_card=False)
    shutil.rmtree(folder / "plain")
    if old:
        modes = [pooling] if isinstance(pooling, str) else pooling
        keys = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
        named = {m if m == "mean_sqrt_len_tokens" else m + "_token" * (m == "cls") + "_tokens" * (m in ("mean", "max")) for m in modes}
        flags = {f"pooling_mode_{key}": key in named for key in keys}
        write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, **flags})
        write_json(folder / "sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": lower})
        listed = json.loads((folder / "modules.json").read_text())
        for module in listed:
            module["type"] = "sentence_transformers.models." + module["type"].rsplit(".", 1)[-1]
        write_json(folder / "modules.json", listed)
    if card:
        (folder / "README.md").write_text(card)
    # What is expected is what the saved folder gives, older keys included.
    model = SentenceTransformer(str(folder), device="cpu")
    more = {}
    if prompts:
        more["prompted"] = {
            key: model.encode(TEXTS, prompt_name=key).astype(float).round(8).tolist() for key in prompts
        }
    none = {"prompt": ""} if prompts else {}
    expected(folder, token_ids(model.tokenizer, TEXTS, limit), model.encode(TEXTS, **none), **more)
    return model


class TokenVectors(torch.nn.Module):
    """What is exported: token vectors of the three usual inputs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask,
                          token_type_ids=token_type_ids).last_hidden_state


def exported(source):
    """The transformer of a folder as torch exports it: one file, and with external data."""
    for name in ["onnx_inline", "onnx_external"]:
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        (folder / "model.safetensors").unlink()
    model = transformers.BertModel.from_pretrained(source, add_pooling_layer=False, attn_implementation="eager").eval()
    ids = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
    names = ["input_ids", "attention_mask", "token_type_ids"]
    inline = HERE / "onnx_inline" / "onnx" / "model.onnx"
    inline.parent.mkdir()
    torch.onnx.export(
        TokenVectors(model), (ids, (ids != 0).long(), torch.zeros_like(ids)), str(inline),
        input_names=names, output_names=["last_hidden_state"], opset_version=14, dynamo=False,
        dynamic_axes={name: {0: "batch_size", 1: "sequence_length"} for name in names + ["last_hidden_state"]},
    )
    onnx.save_model(onnx.load(inline), str(HERE / "onnx_external" / "model.onnx"),
                    save_as_external_data=True, location="model.onnx_data", size_threshold=64)


def written_by_hand(tokenizer_from):
    """An old graph: 32-bit ids, position_ids, weights listed as inputs, its own pooling."""
    folder = HERE / "onnx_pooled"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(tokenizer_from / name, folder)
    rng = np.random.default_rng(5)
    words = rng.normal(size=(len(VOCABULARY), 8)).astype(np.float32)
    places = rng.normal(size=(24, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["w"]),
        helper.make_node("Gather", ["places", "position_ids"], ["p"]),
        helper.make_node("Add", ["w", "p"], ["embedding"]),  # the name that the output needs
        helper.make_node("Tanh", ["embedding"], ["t"]),
        helper.make_node("Cast", ["attention_mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["m"], ["m3"], axes=[2]),
        helper.make_node("Mul", ["t", "m3"], ["masked"]),
        helper.make_node("ReduceSum", ["masked"], ["sentence_embedding"], axes=[1], keepdims=0),
        helper.make_node("ReduceSum", ["t"], ["unused"], axes=[1], keepdims=0),
    ]
    def whole(name):
        return helper.make_tensor_value_info(name, TensorProto.INT32, ["N", "L"])
    inputs = [whole("input_ids"), whole("position_ids"), whole("attention_mask"),
              helper.make_tensor_value_info("words", TensorProto.FLOAT, words.shape),
              helper.make_tensor_value_info("places", TensorProto.FLOAT, places.shape)]
    outputs = [helper.make_tensor_value_info("unused", TensorProto.FLOAT, ["N", 8]),
               helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["N", 8])]
    graph = helper.make_graph(nodes, "old", inputs, outputs,
                              [numpy_helper.from_array(words, "words"), numpy_helper.from_array(places, "places")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=5)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer_from)
    ids = token_ids(tokenizer, TEXTS, 20)
    rows = []
    for row in ids:
        row = np.array([row], dtype=np.int32)
        places_of = np.arange(row.shape[1], dtype=np.int32)[None]
        feed = {"input_ids": row, "position_ids": places_of, "attention_mask": np.ones_like(row)}
        rows.append(session.run(["sentence_embedding"], feed)[0][0])
    expected(folder, ids, rows)


def token_vectors_by_hand(tokenizer_from):
    """Token vectors of an old operator set, which every pooling and a Dense follow."""
    folder = HERE / "onnx_old"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(tokenizer_from / name, folder)
    words = np.random.default_rng(9).normal(size=(len(VOCABULARY), 8)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["m"], ["m3"], axes=[2]),
        helper.make_node("Gather", ["words", "input_ids"], ["w"]),
        helper.make_node("Mul", ["w", "m3"], ["masked"]),
        helper.make_node("Tanh", ["masked"], ["last_hidden_state"]),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["N", "L"]) for name in ["input_ids", "attention_mask"]]
    # The width is left to config.json.
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["N", "L", "D"])]
    graph = helper.make_graph(nodes, "old", inputs, outputs, [numpy_helper.from_array(words, "words")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=6)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
    write_json(folder / "config.json", {"model_type": "own", "hidden_size": 8})
    pooling = Pooling(8, pooling_mode=("max", "lasttoken", "cls", "mean", "mean_sqrt_len_tokens"))
    after = [Dense(40, 9, activation_function=torch.nn.GELU()), Normalize()]
    fill(after[0], 21)
    chain = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"), ("Normalize", "3_Normalize")]
    for module, (_, path) in zip([pooling] + after, chain[1:]):
        (folder / path).mkdir()
        module.save(str(folder / path))
    write_json(folder / "modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(chain)
    ])
    ids = token_ids(transformers.AutoTokenizer.from_pretrained(tokenizer_from), TEXTS, 20)
    rows = []
    for row in ids:
        features = {"token_embeddings": torch.tanh(torch.tensor(words[row]))[None],
                    "attention_mask": torch.ones(1, len(row), dtype=torch.int64)}
        with torch.no_grad():
            for module in [pooling] + after:
                features = module(features)
        rows.append(features["sentence_embedding"][0].numpy())
    expected(folder, ids, rows)


def odd_parts():
    """A graph with parts that most graphs lack, to be written back as it is."""
    def scalar(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None])
    branch = helper.make_graph(
        [helper.make_node("Mul", ["x", "scale"], ["scaled"])], "then", [], [scalar("scaled")],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1], [3.0])])
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["same"])], "else", [], [scalar("same")])
    double = helper.make_function(
        "own", "Double", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("If", ["choose"], ["y"], then_branch=branch, else_branch=other, doc_string="a choice"),
        helper.make_node("Double", ["y"], ["z"], domain="own", name="twice"),
        helper.make_node("Clip", ["z", "", "top"], ["clipped"]),
        helper.make_node("Dropout", ["clipped"], ["out", ""]),
    ]
    half = numpy_helper.from_array(np.arange(4, dtype=np.float16), "half")
    half.doc_string = "kept"
    inits = [
        helper.make_tensor("top", TensorProto.FLOAT, [], [9.0]),
        helper.make_tensor("words", TensorProto.STRING, [2], ["a", "b"]),
        helper.make_tensor("nibbles", TensorProto.INT4, [3], [1, -2, 3]),
        helper.make_tensor("brain", TensorProto.BFLOAT16, [2], [1.5, -2.0]),
        helper.make_tensor("flags", TensorProto.BOOL, [3], [True, False, True]),
        half,
    ]
    graph = helper.make_graph(
        nodes, "odd", [scalar("x"), helper.make_tensor_value_info("choose", TensorProto.BOOL, [])],
        [scalar("out")], inits, value_info=[scalar("z")])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
        functions=[double], ir_version=10)
    helper.set_model_props(model, {"author": "nobody"})
    model.metadata_props[0].key = "note"
    onnx.checker.check_model(model)
    onnx.save(model, HERE / "odd.onnx")


def main():
    published("mean", 1, "mean", [Normalize()], card="---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    published("cls_dense", 2, "cls",
              [Dense(WIDTH, 12, activation_function=torch.nn.GELU()),
               Dense(12, 12, bias=False, activation_function=torch.nn.Identity(), use_residual=True),
               Dense(12, 6, activation_function=torch.nn.Sigmoid(), use_residual=True)])
    published("joined", 3, ("cls", "max", "mean", "mean_sqrt_len_tokens", "lasttoken"),
              [Dense(5 * WIDTH, 10, activation_function=torch.nn.Tanh()), Normalize()],
              prompts={"query": "the dog: ", "document": ""}, default="query", old=True)
    published("last", 4, "lasttoken", [])
    folder = HERE / "plain"
    shutil.rmtree(folder, ignore_errors=True)
    plain(folder, 6)
    model = SentenceTransformer(str(folder), device="cpu")
    expected(folder, token_ids(model.tokenizer, TEXTS, 24), model.encode(TEXTS))
    exported(HERE / "mean")
    written_by_hand(HERE / "mean")
    token_vectors_by_hand(HERE / "mean")
    odd_parts()


if __name__ == "__main__":
    main()
