"""ONNX Runtime in Python as a peer of compare.py: the same weights as a graph of
standard operators, default options, texts sorted by length."""

import json
import pathlib
import statistics
import sys
import time

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

threads, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
model = folder / "minilm-standard"
options = ort.SessionOptions()
options.intra_op_num_threads = threads
session = ort.InferenceSession(str(model / "model.onnx"), options, providers=["CPUExecutionProvider"])
tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(512)
texts = json.loads((folder / "texts.json").read_text())
one = sys.argv[3]


def embed(texts, batch):
    rows = sorted((e.ids for e in tokenizer.encode_batch(texts)), key=len, reverse=True)
    for first in range(0, len(rows), batch):
        part = rows[first:first + batch]
        ids = np.zeros((len(part), len(part[0])), np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(part):
            ids[i, :len(row)] = row
            mask[i, :len(row)] = 1
        session.run(None, {"input_ids": ids, "attention_mask": mask})


def seconds(texts, batch):
    start = time.perf_counter()
    embed(texts, batch)
    return time.perf_counter() - start


embed(texts[:64], 32)
best = min(seconds(texts, batch) for batch in (8, 32))
for _ in range(10):
    embed([one], 1)
print(json.dumps({
    "peer": "onnxruntime, Python",
    "texts_per_second": len(texts) / best,
    "one_text_ms": 1e3 * statistics.median(seconds([one], 1) for _ in range(200)),
}))
