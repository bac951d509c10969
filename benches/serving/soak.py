"""A service under steady load for long: whether memory stays flat and no answer is lost.

    python soak.py minilm.offshoot --minutes 30
    python soak.py minilm.offshoot --minutes 30 --program target/release/offshoot --csv soak.csv

Measures the capacity with clients that ask again at once, then asks at 80 % of it: each client
has its times, and asks at once where it is late. Every answer is compared with the one known
before. Memory is read every `--every` seconds; its trend is the slope of a least-squares line
through the second half. Prints JSON; ends with 1 if an answer was lost or wrong.
"""

import argparse
import csv
import json
import tempfile
import threading
import time

from service import Service, ask, quantiles, same


def client(service, number, clients, rate, start, until, out):
    """Asks at start + number / rate, and again every clients / rate seconds."""
    connection = service.connect()
    turn = 0
    while True:
        due = start + (number + turn * clients) / rate
        if due >= until:
            return
        time.sleep(max(0.0, due - time.perf_counter()))
        at = (number + turn * clients) % len(service.texts)
        begun = time.perf_counter()
        try:
            status, _, answer = ask(connection, service.texts[at])
            verdict = "lost" if status != 200 else None
            if verdict is None and not same(answer, service.known[at]):
                verdict = "wrong"
        except OSError:
            verdict, status = "lost", None
            connection.close()
        except Exception as error:  # An answer that is none.
            verdict, status = "wrong", repr(error)
            connection.close()
        if verdict:
            out[verdict].append(status)
        else:
            out["times"].append(time.perf_counter() - begun)
        turn += 1


def slope(points):
    """Megabytes an hour through (seconds, megabytes)."""
    n = len(points)
    if n < 2:
        return None
    x, y = (sum(point[i] for point in points) / n for i in (0, 1))
    spread = sum((point[0] - x) ** 2 for point in points)
    along = sum((point[0] - x) * (point[1] - y) for point in points)
    return round(3600 * along / spread, 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle")
    parser.add_argument("--program", default="offshoot")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--share", type=float, default=0.8, help="of the capacity")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--warm-up", type=float, default=20, help="seconds to measure the capacity")
    parser.add_argument("--every", type=float, default=10, help="seconds between looks at memory")
    parser.add_argument("--csv", help="writes seconds, private dirty and resident megabytes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, Service(args.program, args.bundle, data) as service:
        capacity = service.capacity(args.warm_up, args.clients)
        rate = args.share * capacity
        out = {"times": [], "lost": [], "wrong": []}
        start = time.perf_counter()
        until = start + 60 * args.minutes
        threads = [
            threading.Thread(
                target=client, args=(service, n, args.clients, rate, start, until, out)
            )
            for n in range(args.clients)
        ]
        for thread in threads:
            thread.start()
        memory = []
        while time.perf_counter() < until:
            memory.append((time.perf_counter() - start, *service.memory()))
            time.sleep(min(args.every, max(0.0, until - time.perf_counter())))
        for thread in threads:
            thread.join()
        spent = time.perf_counter() - start
        memory.append((spent, *service.memory()))
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["seconds", "private_dirty_mb", "resident_mb"])
            writer.writerows([round(value, 2) for value in row] for row in memory)
    half = memory[len(memory) // 2 :]
    dirty = [row[1] for row in memory]
    told = {
        "capacity_texts_a_second": round(capacity, 1),
        "asked_a_second": round(rate, 1),
        "answered_a_second": round(len(out["times"]) / spent, 1),
        "answered": len(out["times"]),
        "lost": len(out["lost"]),
        "wrong": len(out["wrong"]),
        "statuses_of_lost": sorted({str(status) for status in out["lost"]}),
        "ms": quantiles(out["times"]),
        "private_dirty_mb": {
            "first": round(dirty[0], 1),
            "half": round(half[0][1], 1),
            "last": round(dirty[-1], 1),
            "largest": round(max(dirty), 1),
            "an_hour": slope([row[:2] for row in half]),
        },
    }
    print(json.dumps(told, indent=1))
    raise SystemExit(1 if out["lost"] or out["wrong"] else 0)


if __name__ == "__main__":
    main()
