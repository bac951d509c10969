"""Each objective on each kind of data that suits it: few-shot accuracy of its encoder, and of the
same network untrained, by the head `auto`, mean of 10 draws.

    python benches/few_shot/prepare.py movies fashion && python benches/pretraining/prepare.py
    cargo build --release && cargo build --release -p offshoot-adapters --example few_shot
    python benches/pretraining/objectives.py [KIND ...]

KIND is one of texts (movies), proteins, signals (gestures), images (Fashion-MNIST). What is
measured is kept in target/bench/pretraining/objectives.json and not measured again.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

from compare import DATA, DRAWS, ROOT, auto, embed, families, few_shot, signals, texts

FASHION = ROOT / "target/bench/few_shot/downloads/fashion/usr/share/datasets/fashion-mnist"
PROGRAM = ROOT / "target/release/offshoot"
KEPT = DATA / "objectives.json"

VIEWS = ["simclr", "vicreg", "barlow-twins", "simsiam", "self-distillation", "sigreg", "triplet",
         "supervised-contrastive", "multiple-negatives"]
TOKENS = ["masked-token", "autoregressive", "replaced-token", "simcse"]
SMALL = ["width=96", "layers=2", "hidden=256"]
SMALL = [part for name in SMALL for part in ("--configure", name)]
# Data, column of labels, steps, further options, labels a class, objectives.
KINDS = {
    "texts": (DATA / "movies.csv", "label", 200, [*SMALL, "--vocabulary", "4000"], 8, TOKENS + VIEWS),
    "proteins": (DATA / "proteins.fasta", "FAMILY", 150, SMALL, 4,
                 TOKENS + ["simclr", "multiple-negatives"]),
    "signals": (DATA / "gestures.ts", "label", 120, [], 4,
                VIEWS + ["denoising", "masked-patches", "order", "neighborhood"]),
    "images": (FASHION / "train-images-idx3-ubyte.gz", "label", 300, [], 10,
               VIEWS + ["denoising", "masked-patches", "rotation"]),
}


def examples(kind):
    """What is embedded, and the number of each one's class."""
    if kind == "images":
        import gzip
        labels = gzip.open(FASHION / "t10k-labels-idx1-ubyte.gz").read()
        return "fashion", None, np.frombuffer(labels, np.uint8, offset=8).astype(int)
    name = {"texts": "movies", "proteins": "families", "signals": "gestures"}[kind]
    chosen = {"texts": lambda: texts("movies", 1000), "proteins": families,
              "signals": lambda: signals("gestures")}[kind]()[0]
    classes = sorted({label for _, label in chosen})
    return name, chosen, np.array([classes.index(label) for _, label in chosen])


def embeddings(name, chosen, bundle, folder):
    if name != "fashion":
        return embed(PROGRAM, bundle, name, chosen)
    output = pathlib.Path(folder) / "out.npy"
    subprocess.run([PROGRAM, "embed", bundle, FASHION / "t10k-images-idx3-ubyte.gz", "-o", output],
                   check=True, stderr=subprocess.DEVNULL)
    return np.load(output).astype(np.float32)


def measure(kind, objective, trained):
    data, label, steps, more, shots, _ = KINDS[kind]
    name, chosen, y = examples(kind)
    draws = {shots: [few_shot(y.tolist(), int(y.max()) + 1, shots, seed)[0] for seed in range(DRAWS)]}
    length = ["--steps", str(steps)] if trained else ["--steps", "1", "--learning-rate", "1e-30"]
    with tempfile.TemporaryDirectory() as folder:
        bundle = pathlib.Path(folder) / "x.offshoot"
        causal = ["--encoder", "causal-transformer"] if objective == "autoregressive" else []
        done = subprocess.run(
            [PROGRAM, "pretrain", data, "--objective", objective, "--label", label, *length, *more,
             *causal, "-o", bundle], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"{kind}, {objective}: {done.stdout[-2000:]}")
        collapsed = bool(re.search("collapse", done.stdout)) and trained
        accuracy = auto(embeddings(name, chosen, bundle, folder), y, draws)["auto"][shots]
    return accuracy, collapsed


def main():
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for kind in sys.argv[1:] or KINDS:
        *_, shots, objectives = KINDS[kind]
        print(f"\n| {kind}, {shots} labels a class | untrained | {KINDS[kind][2]} steps | |")
        print("| --- | --- | --- | --- |")
        for objective in objectives:
            key = f"{kind}, {objective}"
            if key not in known:
                untrained, _ = measure(kind, objective, False)
                known[key] = [untrained, *measure(kind, objective, True)]
                KEPT.write_text(json.dumps(known, indent=1))
            before, after, collapsed = known[key]
            note = "collapse was told" if collapsed else ""
            print(f"| {objective} | {before:.1f} | {after:.1f} | {note} |", flush=True)


if __name__ == "__main__":
    main()
