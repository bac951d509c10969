#!/bin/sh
# Makes motions.offshoot again. Run from anywhere, after
#     cargo build --release
#     python benches/pretraining/prepare.py motions
set -eu
cd "$(dirname "$0")/../../.."
offshoot=${OFFSHOOT:-target/release/offshoot}
"$offshoot" pretrain target/bench/pretraining/motions.ts --configure stages=[32,64,112] \
    --steps 300 --seed 0 -o models/zoo/motions/motions.offshoot --force
rm -r models/zoo/motions/motions.run
