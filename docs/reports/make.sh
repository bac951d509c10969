#!/bin/sh
# Makes the reports that docs/why-self-supervised-learning-works.md shows, in target/reports, and their
# pictures here. Run from anywhere, after
#     cargo build --release
#     python benches/few_shot/prepare.py fashion
#     python benches/pretraining/prepare.py movies proteins motions
# and with MiniLM, imported as the README says, as the first argument or at ./minilm.offshoot.
# Pictures need Node with the package playwright (`NODE_PATH`) and Chromium (`CHROMIUM`).
set -eu
minilm=$(realpath "${1:-minilm.offshoot}")
cd "$(dirname "$0")/../.."
offshoot=${OFFSHOOT:-target/release/offshoot}
data=target/bench/pretraining
images=target/bench/few_shot/downloads/fashion/usr/share/datasets/fashion-mnist
reports=target/reports
mkdir -p "$reports"
"$offshoot" inspect "$minilm" $data/movies.csv --sample 2000 -o $reports/movies.html
"$offshoot" inspect models/zoo/fashion/fashion.offshoot $images/t10k-images-idx3-ubyte.gz \
    --sample 2000 -o $reports/fashion.html
"$offshoot" inspect models/zoo/motions/motions.offshoot $data/motions.ts -o $reports/motions.html
"$offshoot" inspect models/zoo/proteins/proteins.offshoot $data/families.fasta --label FAMILY \
    -o $reports/proteins.html
for name in movies fashion motions proteins; do
    node docs/reports/pictures.mjs $reports/$name.html $name
done
