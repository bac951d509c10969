#!/bin/sh
# Makes movies.offshoot again. Run from anywhere, after
#     cargo build --release
#     python benches/few_shot/prepare.py movies && python benches/pretraining/prepare.py movies
set -eu
cd "$(dirname "$0")/../../.."
offshoot=${OFFSHOOT:-target/release/offshoot}
work=target/zoo
mkdir -p "$work"
data=target/bench/pretraining/movies.csv
"$offshoot" pretrain "$data" --objective multiple-negatives --vocabulary 4000 \
    --configure width=96 --configure layers=2 --configure heads=4 --configure hidden=256 \
    --steps 1500 --seed 0 -o "$work/movies.offshoot"
"$offshoot" quantize "$work/movies.offshoot" --to int8 --samples "$data" --most-texts 1000 \
    -o models/zoo/movies/movies.offshoot --force
