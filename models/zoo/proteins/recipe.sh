#!/bin/sh
# Makes proteins.offshoot again. Run from anywhere, after
#     cargo build --release
#     python benches/pretraining/prepare.py proteins
set -eu
cd "$(dirname "$0")/../../.."
offshoot=${OFFSHOOT:-target/release/offshoot}
"$offshoot" pretrain target/bench/pretraining/proteins.fasta --label OS --objective simclr \
    --max-tokens 512 --augment dropout=0.05 \
    --configure width=96 --configure layers=0 --configure hidden=256 \
    --steps 500 --seed 0 -o models/zoo/proteins/proteins.offshoot --force
rm -r models/zoo/proteins/proteins.run
