"""Is the true curve within the interval that few labels gave?

Each case is an encoder and labelled data. `offshoot inspect` sees a small sample and says what
accuracy to expect of 2, 4 and 8 times its labels; the same on a large sample, with another seed,
measures it. Between two measured numbers of labels the curve is a line over their logarithm.

    python labels_needed.py OFFSHOOT BUNDLE DATA[:LABEL] SMALL LARGE [BUNDLE DATA[:LABEL] SMALL LARGE ...]

LABEL is the column or key of the labels, where it is not found by itself.
"""

import json
import math
import subprocess
import sys


def report(program, bundle, data, sample, seed):
    data, _, label = data.partition(":")
    run = [program, "inspect", bundle, data, "--sample", sample, "--seed", seed, "--json", "-"]
    run += ["--label", label] if label else []
    said = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    return json.loads(said)["reports"][0]


def at(points, labels):
    """Accuracy at a number of labels, None beyond what was measured."""
    for a, b in zip(points, points[1:]):
        if a["labels"] <= labels <= b["labels"]:
            share = math.log(labels / a["labels"]) / math.log(b["labels"] / a["labels"])
            return a["accuracy"] + share * (b["accuracy"] - a["accuracy"])
    return None


def main():
    program, *cases = sys.argv[1:]
    held, all_cases, whole = {2: 0, 4: 0, 8: 0}, {2: 0, 4: 0, 8: 0}, []
    for bundle, data, small, large in zip(*[iter(cases)] * 4):
        few = report(program, bundle, data, small, "0")
        many = report(program, bundle, data, large, "1")
        curve = next(c for c in many["curves"] if c["head"] == "ridge")["points"]
        each = []
        for times, expected in zip([2, 4, 8], few["expected"]):
            truth = at(curve, expected["labels"])
            if truth is None:
                continue
            low, high = expected["interval"]["low"], expected["interval"]["high"]
            inside = low <= truth <= high
            each.append(inside)
            held[times] += inside
            all_cases[times] += 1
            print(
                f"{few['encoder']:<12} {times} times: {expected['labels']:>4} labels, expected "
                f"{100 * expected['accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}], true "
                f"{100 * truth:.1f} %  {'within' if inside else 'OUTSIDE'}",
                flush=True,
            )
        if each:
            whole.append(all(each))
    print(f"the whole curve within in {sum(whole)} of {len(whole)} cases")
    for times in held:
        print(f"{times} times: within in {held[times]} of {all_cases[times]}")


main()
