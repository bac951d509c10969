"""Accuracy and calibration of every head beside scikit-learn's, on the same draws.

    cargo build --release -p offshoot-adapters --example few_shot
    target/peers/bin/python benches/few_shot/prepare.py
    target/peers/bin/python benches/few_shot/compare.py

Ten draws of 1 to 32 labels a class; what is not drawn is the test set. The peer of a
cell is the best of five heads of scikit-learn in that cell, chosen after the fact.
"""

import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.neighbors import NearestCentroid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models/tests/reference"))
from movies import few_shot  # noqa: E402

SETS_FOLDER = ROOT / "target/bench/few_shot"
SETS = ["movies", "spam", "fashion", "basicmotions", "gunpoint", "arrowhead", "italypowerdemand"]
SHOTS, DRAWS, SPARE = [1, 2, 4, 8, 16, 32], 10, 5
PEERS = {
    "logistic C=1": lambda: LogisticRegression(C=1, max_iter=2000),
    "logistic C=32": lambda: LogisticRegression(C=32, max_iter=2000),
    "ridge": lambda: RidgeClassifierCV(alphas=np.logspace(-3, 3, 13)),
    "LDA": lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "centroid": lambda: NearestCentroid(),
}


def expected_calibration_error(p, y, bins=15):
    confidence, right = p.max(1), p.argmax(1) == y
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    cells = [place == b for b in range(bins)]
    return sum(m.mean() * abs(confidence[m].mean() - right[m].mean()) for m in cells if m.any())


def draw(name):
    """The set's facts with its draws, which the other program reads."""
    facts = json.loads((SETS_FOLDER / f"{name}.json").read_text())
    fewest = np.bincount(facts["labels"]).min()
    facts["draws"] = {
        str(shots): [few_shot(facts["labels"], facts["classes"], shots, seed)[0]
                     for seed in range(DRAWS)]
        for shots in SHOTS if fewest >= shots + SPARE}
    (SETS_FOLDER / f"{name}.draws.json").write_text(json.dumps(facts))
    return facts


def peers(name):
    facts = draw(name)
    x = np.fromfile(SETS_FOLDER / f"{name}.f32", "<f4").reshape(facts["rows"], -1)
    x, y = x.astype(float), np.array(facts["labels"])
    cells = {}
    for shots, draws in facts["draws"].items():
        accuracy, calibration = {}, []
        for train in draws:
            test = np.setdiff1d(np.arange(len(y)), train)
            for peer, make in PEERS.items():
                if peer == "LDA" and shots == "1":
                    continue
                head = make().fit(x[train], y[train])
                accuracy.setdefault(peer, []).append(np.mean(head.predict(x[test]) == y[test]))
                if peer == "logistic C=1":
                    calibration.append(expected_calibration_error(head.predict_proba(x[test]), y[test]))
        cells[shots] = {"ece": 100 * float(np.mean(calibration)),
                        **{p: 100 * float(np.mean(v)) for p, v in accuracy.items()}}
    return cells


def main():
    warnings.filterwarnings("ignore")
    names = sys.argv[1:] or SETS
    cache = SETS_FOLDER / "peers.json"
    known = json.loads(cache.read_text()) if cache.exists() else {}
    for name in names:
        if name not in known:
            known[name] = peers(name)
            cache.write_text(json.dumps(known))
            print(f"peers of {name} done", file=sys.stderr)
    done = subprocess.run([ROOT / "target/release/examples/few_shot", SETS_FOLDER, *names], check=True,
                          stdout=subprocess.PIPE, text=True)
    ours = [json.loads(line) for line in done.stdout.splitlines()]
    heads = list(dict.fromkeys(row["head"] for row in ours))
    print(f"| set | labels | best peer | {' | '.join(heads)} |")
    print(f"| --- | --- | --- |{' --- |' * len(heads)}")
    lead, ece = {h: [] for h in heads}, {h: [] for h in heads}
    for name in names:
        for shots, cell in known[name].items():
            best = max(PEERS, key=lambda p: cell.get(p, 0))
            row = {r["head"]: r for r in ours if r["set"] == name and r["shots"] == int(shots)}
            figures = " | ".join(f"{row[h]['accuracy']:.1f}" if h in row else "" for h in heads)
            print(f"| {name} | {shots} | {cell[best]:.1f} ({best}) | {figures} |")
            for h in heads:
                if h in row:
                    lead[h].append((row[h]["accuracy"] - cell[best], int(shots)))
                    if shots == "8":
                        ece[h].append((row[h]["ece"], cell["ece"]))
    print("\n| head | mean lead over the best peer | least | mean lead at 1 to 4 | ECE at 8 | scikit-learn's logistic |")
    print("| --- | --- | --- | --- | --- | --- |")
    for h in heads:
        few = [v for v, s in lead[h] if s <= 4]
        calibration = " | ".join(f"{100 * v:.1f}" if i == 0 else f"{v:.1f}"
                                 for i, v in enumerate(np.mean(ece[h], 0))) if ece[h] else " | "
        print(f"| {h} | {np.mean([v for v, _ in lead[h]]):+.2f} | {min(lead[h])[0]:+.2f} "
              f"| {np.mean(few):+.2f} | {calibration} |")


if __name__ == "__main__":
    main()
