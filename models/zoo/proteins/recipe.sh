#!/bin/sh
# Makes proteins.offshoot again. Run from anywhere, after
#     cargo build --release
#     python benches/pretraining/prepare.py proteins
set -eu
cd "$(dirname "$0")/../../.."
offshoot=${OFFSHOOT:-target/release/offshoot}
"$offshoot" pretrain target/bench/pretraining/proteins.fasta --objective simclr \
    --configure width=96 --configure layers=2 --configure heads=4 --configure hidden=256 \
    --max-tokens 256 --steps 1500 --seed 0 -o models/zoo/proteins/proteins.offshoot --force
rm -r models/zoo/proteins/proteins.run
