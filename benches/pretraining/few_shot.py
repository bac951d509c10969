"""Few-shot accuracy on Fashion-MNIST of pretrained encoders and of raw pixels, by
scikit-learn's logistic regression on standardised features (C = 1), mean of draws, and the
accuracy of the 10 nearest neighbours by cosine of centred features among 20,000 labels.

    python benches/pretraining/few_shot.py FOLDER [BUNDLE ...] --program target/release/offshoot

FOLDER holds the four files of the set (`train-images-idx3-ubyte.gz` …).
"""

import argparse
import gzip
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

SHOTS = [1, 5, 10, 50]
LABELED = 20_000


def idx(path, offset):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def embeddings(program, bundle, images):
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "embeddings.npy"
        command = [program, "embed", bundle, images, "-o", output]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        return np.load(output).astype(np.float32)


def few_shot(train, labels, test, truth, shots, draws):
    accuracies = []
    for seed in range(draws):
        random = np.random.default_rng(seed)
        chosen = [random.choice(np.flatnonzero(labels == c), shots, replace=False) for c in range(10)]
        chosen = np.concatenate(chosen)
        # One example a class says nothing of deviations: unlabeled ones do.
        scaler = StandardScaler().fit(train[chosen] if shots > 1 else train[:1000])
        model = LogisticRegression(C=1.0, max_iter=500)
        model.fit(scaler.transform(train[chosen]), labels[chosen])
        accuracies.append((model.predict(scaler.transform(test)) == truth).mean())
    return 100 * np.mean(accuracies)


def nearest_neighbors(train, labels, test, truth):
    centre = train.mean(0)

    def unit(x):
        x = x - centre
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)

    cosines = unit(test) @ unit(train[:LABELED]).T
    nearest = np.argpartition(-cosines, 10, axis=1)[:, :10]
    votes = [np.bincount(row, minlength=10).argmax() for row in labels[:LABELED][nearest]]
    return 100 * (np.array(votes) == truth).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("bundles", nargs="*")
    parser.add_argument("--program", default="offshoot")
    parser.add_argument("--draws", type=int, default=5)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")

    names = {part: f"{part}-images-idx3-ubyte.gz" for part in ("train", "t10k")}
    labels = {part: idx(arguments.folder / f"{part}-labels-idx1-ubyte.gz", 8) for part in names}
    print("features | " + " | ".join(map(str, SHOTS)) + " | nearest neighbours")
    for bundle in ["raw pixels", *arguments.bundles]:
        parts = {}
        for part, name in names.items():
            path = arguments.folder / name
            if bundle == "raw pixels":
                parts[part] = idx(path, 16).reshape(-1, 784).astype(np.float32)
            else:
                parts[part] = embeddings(arguments.program, bundle, path)
        sets = (parts["train"], labels["train"], parts["t10k"], labels["t10k"])
        figures = [few_shot(*sets, shots, arguments.draws) for shots in SHOTS]
        figures.append(nearest_neighbors(*sets))
        print(f"{bundle} | " + " | ".join(f"{figure:.1f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
