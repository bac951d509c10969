"""Few-shot accuracy of pretrained encoders beside that of features that need no network: mean
of 10 draws, what is not drawn is tested.

    python benches/few_shot/prepare.py movies spam && python benches/pretraining/prepare.py
    cargo build --release && cargo build --release -p offshoot-adapters --example few_shot
    python benches/pretraining/compare.py SET [BUNDLE ...]

SET is one of movies, spam, families (proteins, by the family that their name tells), motions,
gestures. The head of the bundles is `auto`; the other features have it too, and the head that
is customary for them: logistic regression of scikit-learn (C = 1), for signals also the nearest
neighbour by dynamic time warping.
"""

import argparse
import collections
import csv
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "target/bench/pretraining"
sys.path.insert(0, str(ROOT / "models/tests/reference"))
from movies import few_shot  # noqa: E402

SHOTS, DRAWS, SPARE = [1, 2, 4, 8, 16, 32], 10, 5
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def texts(name, per_class):
    rows = list(csv.DictReader(open(DATA / f"{name}.csv", newline="", encoding="utf-8")))
    chosen = []
    for label in sorted({row["label"] for row in rows}):
        members = [row for row in rows if row["label"] == label]
        places = np.random.default_rng(0).permutation(len(members))[:per_class]
        chosen += [(members[i]["text"], label) for i in places]
    features = TfidfVectorizer(sublinear_tf=True).fit_transform(t for t, _ in chosen)
    return chosen, {"TF-IDF": features}


def families():
    chosen = []
    for record in (DATA / "families.fasta").read_text().split(">")[1:]:
        header, sequence = record.split("\n", 1)
        chosen.append((sequence.replace("\n", ""), re.search(r"FAMILY=(\S+)", header)[1]))

    def shares(units, parts):
        counts = np.array([[c[u] for u in units] for c in map(collections.Counter, parts)], float)
        return counts / counts.sum(1, keepdims=True)

    sequences = [s for s, _ in chosen]
    pairs = [a + b for a in RESIDUES for b in RESIDUES]
    return chosen, {
        "amino acids": shares(RESIDUES, sequences),
        "pairs of amino acids": shares(pairs, ([s[i:i + 2] for i in range(len(s) - 1)] for s in sequences)),
    }


def signals(name):
    lines = (DATA / f"{name}.ts").read_text().split("@data\n")[1].splitlines()
    values, labels = [], []
    for line in lines:
        *channels, label = line.split(":")
        values.append([[float(v) for v in channel.split(",")] for channel in channels])
        labels.append(label)
    x = np.array(values)
    x = (x - x.mean((0, 2), keepdims=True)) / x.std((0, 2), keepdims=True)
    return list(zip(lines, labels)), {"raw window": x.reshape(len(x), -1)}, x


def warped(x, band=0.1):
    """Distances by dynamic time warping of all channels together, within a band of a tenth."""
    n, _, length = x.shape
    reach = max(1, int(band * length))
    costs = np.empty((n, n))
    for i in range(n):
        # All partners at once.
        gap = ((x[i][None, :, :, None] - x[:, :, None, :]) ** 2).sum(1)
        best = np.full((n, length + 1, length + 1), np.inf)
        best[:, 0, 0] = 0
        for a in range(1, length + 1):
            for b in range(max(1, a - reach), min(length, a + reach) + 1):
                least = np.minimum(np.minimum(best[:, a - 1, b], best[:, a, b - 1]), best[:, a - 1, b - 1])
                best[:, a, b] = gap[:, a - 1, b - 1] + least
        costs[i] = np.sqrt(best[:, -1, -1])
    return costs


def embed(program, bundle, name, chosen):
    with tempfile.TemporaryDirectory() as folder:
        source, output = pathlib.Path(folder) / "examples.csv", pathlib.Path(folder) / "out.npy"
        if name in ("motions", "gestures"):
            source = DATA / f"{name}.ts"
        else:
            with open(source, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("text", "label"), *chosen])
        subprocess.run([program, "embed", bundle, source, "-o", output], check=True,
                       stderr=subprocess.DEVNULL)
        return np.load(output).astype(np.float32)


def logistic(x, y, draws, standardise):
    accuracies = []
    for train in draws:
        test = np.setdiff1d(np.arange(len(y)), train)
        model = LogisticRegression(C=1.0, max_iter=1000)
        if standardise:
            scaler = StandardScaler().fit(x[train])
            model.fit(scaler.transform(x[train]), y[train])
            accuracies.append((model.predict(scaler.transform(x[test])) == y[test]).mean())
        else:
            accuracies.append((model.fit(x[train], y[train]).predict(x[test]) == y[test]).mean())
    return 100 * np.mean(accuracies)


def nearest(costs, y, draws):
    accuracies = []
    for train in draws:
        test, train = np.setdiff1d(np.arange(len(y)), train), np.array(train)
        accuracies.append((y[train[costs[np.ix_(test, train)].argmin(1)]] == y[test]).mean())
    return 100 * np.mean(accuracies)


def auto(x, y, draws):
    """The head `auto`, alone and with the test examples as unlabeled ones."""
    with tempfile.TemporaryDirectory() as folder:
        np.ascontiguousarray(x, "<f4").tofile(f"{folder}/set.f32")
        facts = {"rows": len(x), "dimensions": x.shape[1], "classes": int(y.max()) + 1,
                 "labels": y.tolist(), "draws": {str(s): d for s, d in draws.items()}}
        pathlib.Path(f"{folder}/set.draws.json").write_text(json.dumps(facts))
        program = ROOT / "target/release/examples/few_shot"
        done = subprocess.run([program, folder, "set", "--auto"], check=True, stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {head: {row["shots"]: row["accuracy"] for row in rows if row["head"] == head}
            for head in ["auto", "auto, unlabeled"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=["movies", "spam", "families", "motions", "gestures"])
    parser.add_argument("bundles", nargs="*")
    parser.add_argument("--program", default=ROOT / "target/release/offshoot")
    parser.add_argument("--no-baselines", action="store_true")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")

    name, series = arguments.set, None
    if name in ("motions", "gestures"):
        chosen, features, series = signals(name)
    else:
        chosen, features = families() if name == "families" else texts(name, {"movies": 1000, "spam": 1025}[name])
    classes = sorted({label for _, label in chosen})
    y = np.array([classes.index(label) for _, label in chosen])
    fewest = np.bincount(y).min()
    draws = {shots: [few_shot(y.tolist(), len(classes), shots, seed)[0] for seed in range(DRAWS)]
             for shots in SHOTS if fewest >= shots + SPARE}

    def show(title, figures):
        cells = [f"{figures[shots]:.1f}" if shots in figures else "" for shots in draws]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)

    print(f"| {name}, {len(y)} examples, {len(classes)} classes | {' | '.join(map(str, draws))} |")
    print(f"| --- |{' --- |' * len(draws)}")
    for title, x in {} if arguments.no_baselines else features.items():
        each = {s: logistic(x, y, d, name not in ("movies", "spam")) for s, d in draws.items()}
        show(f"{title}, logistic regression", each)
        if not hasattr(x, "toarray"):
            for head, figures in auto(x, y, draws).items():
                show(f"{title}, {head}", figures)
    if series is not None and not arguments.no_baselines:
        costs = warped(series)
        show("dynamic time warping, nearest neighbour", {s: nearest(costs, y, d) for s, d in draws.items()})
    for bundle in arguments.bundles:
        x = embed(arguments.program, bundle, name, chosen)
        for head, figures in auto(x, y, draws).items():
            show(f"{pathlib.Path(bundle).stem}, {head}", figures)


if __name__ == "__main__":
    main()
