#!/bin/sh
# Makes fashion.offshoot again. Run from anywhere, after
#     cargo build --release
#     python benches/few_shot/prepare.py fashion
set -eu
cd "$(dirname "$0")/../../.."
offshoot=${OFFSHOOT:-target/release/offshoot}
work=target/zoo
mkdir -p "$work"
data=target/bench/few_shot/downloads/fashion/usr/share/datasets/fashion-mnist
"$offshoot" pretrain "$data/train-images-idx3-ubyte.gz" --steps 2500 --seed 0 \
    -o "$work/fashion.offshoot"
"$offshoot" quantize "$work/fashion.offshoot" --to fp16 \
    --samples "$data/t10k-images-idx3-ubyte.gz" --most-texts 1000 \
    -o models/zoo/fashion/fashion.offshoot --force
