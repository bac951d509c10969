"""Throughput, waiting and memory of servers of one encoder, in turns on the same cores.

    cargo build --release
    python benches/serving/peers.py minilm.offshoot MODEL_FOLDER [--rounds 3] [--seconds 20]

MODEL_FOLDER is the same encoder as published. The peers are infinity (package infinity-emb) and
FastAPI around sentence-transformers (`peer_fastapi.py`); both must be installed for the Python
that runs this. Each is started, asked until it answers, then asked by 64 clients over OpenAI's
route with texts of 4 to 120 words, and ended; all have the same two threads. Memory is the
proportional share of all of a server's processes, the largest seen.
"""

import argparse
import http.client
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE.parents[1] / "target/release/offshoot"
PORT = 8093


def servers(bundle, model):
    threads = {"OMP_NUM_THREADS": "2", "THREADS": "2", "MODEL": model}
    python = pathlib.Path(sys.executable)
    return {
        "offshoot": ([PROGRAM, "serve", f"minilm={bundle}", "--listen", f"127.0.0.1:{PORT}"], {},
                     "minilm"),
        "infinity": (
            [python.parent / "infinity_emb", "v2", "--model-id", model, "--served-model-name",
             "minilm", "--engine", "torch", "--device", "cpu",
             "--url-prefix", "/v1", "--port", str(PORT), "--host", "127.0.0.1"],
            {**threads, "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"},
            "minilm",
        ),
        "FastAPI, sentence-transformers": (
            [python, "-m", "uvicorn", "--app-dir", HERE, "--port", str(PORT), "--log-level",
             "warning", "peer_fastapi:app"],
            threads,
            "minilm",
        ),
    }


def ask(model):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    body = json.dumps({"model": model, "input": "one short text"})
    connection.request("POST", "/v1/embeddings", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def wait(process, model):
    until = time.time() + 180
    while time.time() < until:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        try:
            if ask(model) == 200:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise SystemExit("the server does not answer")


def memory(group):
    """Proportional share of the memory of a group of processes, MB."""
    total = 0
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == group:
                lines = (entry / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            pass
    return total / 1000


def measure(command, environment, model, seconds):
    start = time.time()
    process = subprocess.Popen(
        [str(part) for part in command], env={**os.environ, **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )
    try:
        wait(process, model)
        figures = {"start_s": time.time() - start, "memory_mb": memory(process.pid)}
        one = []
        for _ in range(50):
            begin = time.perf_counter()
            ask(model)
            one.append(1000 * (time.perf_counter() - begin))
        figures["one_ms"] = statistics.median(one)
        done = threading.Event()

        def watch():
            while not done.wait(0.5):
                figures["memory_mb"] = max(figures["memory_mb"], memory(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        load = [sys.executable, HERE / "load.py", f"http://127.0.0.1:{PORT}", "--openai", model,
                "--seconds", str(seconds)]
        figures |= json.loads(subprocess.run(load, check=True, stdout=subprocess.PIPE).stdout)
        done.set()
        watcher.join()
        return figures
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle")
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", action="append", help="of these servers only")
    args = parser.parse_args()
    rows = {}
    for _ in range(args.rounds):
        for name, server in servers(args.bundle, args.model).items():
            if args.only and name not in args.only:
                continue
            rows.setdefault(name, []).append(measure(*server, args.seconds))
            print(name, json.dumps(rows[name][-1]), file=sys.stderr, flush=True)
    print("| server | texts a second | p50 | p99 | one text | memory | start |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, runs in rows.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(
            f"| {name} | {middle['texts_a_second']:.1f} | {middle['p50_ms'] / 1000:.2f} s "
            f"| {middle['p99_ms'] / 1000:.2f} s | {middle['one_ms']:.1f} ms "
            f"| {middle['memory_mb']:.0f} MB | {middle['start_s']:.2f} s |"
        )


if __name__ == "__main__":
    main()
