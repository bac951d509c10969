"""scikit-learn's few-shot accuracies on the movie texts, for the table of `quickstart`.

    python movies.py CORPUS.csv.bz2 MINILM_FOLDER ../../src/movies/reference.json

Needs numpy, scikit-learn and sentence-transformers. The draws are those of
`offshoot_models::movies`: the generator and the sampling are written again here, so that
the file also checks the Rust code.
"""

import bz2
import csv
import hashlib
import io
import json
import sys

import numpy as np

MASK = (1 << 64) - 1
CLASSES = ["fresh", "rotten", "plot"]
SUBSET_SEED, PER_CLASS, SHOTS, DRAWS = 2026, 1000, [1, 2, 4, 8, 16, 32], 10
ALPHAS = np.logspace(-3, 3, 13)


class SplitMix64:
    """Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014."""

    def __init__(self, seed):
        self.state = seed & MASK

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n):
        return (self.next() * n) >> 64


def few_shot(labels, classes, shots, seed):
    """Indices for training (class by class, as drawn) and for testing (in order)."""
    seeds, train = SplitMix64(seed), []
    for c in range(classes):
        generator = SplitMix64(seeds.next())
        members = [i for i, label in enumerate(labels) if label == c]
        for i in range(shots):
            j = i + generator.below(len(members) - i)
            members[i], members[j] = members[j], members[i]
        train += members[:shots]
    chosen = set(train)
    return train, [i for i in range(len(labels)) if i not in chosen]


def read(path):
    text = bz2.open(path).read().decode("utf-8")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [(r["text"], CLASSES.index(r["category"])) for r in rows if r["text"].strip()]


def main(corpus, model, output):
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
    from sklearn.neighbors import NearestCentroid

    rows = read(corpus)
    subset, _ = few_shot([label for _, label in rows], len(CLASSES), PER_CLASS, SUBSET_SEED)
    texts = [rows[i][0] for i in subset]
    labels = np.array([rows[i][1] for i in subset])
    encoder = SentenceTransformer(model, device="cpu")
    x = encoder.encode(texts, normalize_embeddings=True, batch_size=64)

    heads = {
        "logistic": lambda: LogisticRegression(C=1.0, max_iter=1000),
        "ridge": lambda: RidgeClassifierCV(alphas=ALPHAS),
        "centroid": lambda: NearestCentroid(),
    }
    accuracies = {name: [] for name in heads}
    trains = []
    for shots in SHOTS:
        row = {name: [] for name in heads}
        for seed in range(DRAWS):
            train, test = few_shot(labels, len(CLASSES), shots, seed)
            if shots == 4:
                trains.append(train)
            for name, make in heads.items():
                head = make().fit(x[train], labels[train])
                row[name].append(round(float(head.score(x[test], labels[test])), 6))
        for name in heads:
            accuracies[name].append(row[name])
        print(shots, {name: round(100 * np.mean(v), 1) for name, v in row.items()}, flush=True)
    result = {
        "records": len(rows),
        "max_tokens": encoder.max_seq_length,
        "subset_sha256": hashlib.sha256("\0".join(texts).encode()).hexdigest(),
        "shots": SHOTS,
        "four_shot_train": trains,
        "accuracies": accuracies,
    }
    with open(output, "w") as file:
        dumps = ",\n".join(
            f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in result.items() if k != "accuracies"
        )
        heads = ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in accuracies.items())
        file.write("{\n" + dumps + ',\n  "accuracies": {\n' + heads + "\n  }\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
