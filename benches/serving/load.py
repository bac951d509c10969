"""Throughput and waiting of a running service, beside the library itself.

    offshoot serve minilm=minilm.offshoot &
    python load.py http://127.0.0.1:8080 --clients 64 --seconds 20
    offshoot embed minilm.offshoot texts.txt -o texts.npy    # the library, the same texts
    python load.py http://127.0.0.1:8080 --write texts.txt

Texts have 4 to 120 words; each client keeps one connection and asks for one text at a time.
Clients are threads of another process on the same processors, so they take some of what
they measure: `--processes` spreads them.
"""

import argparse
import http.client
import json
import multiprocessing
import random
import threading
import time
import urllib.parse

WORDS = "the film was a good story of people who invoice money and travel to see new places".split()


def texts(count, seed):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(4, 120))) for _ in range(count)]


def client(place, model, until, seed, times, refused):
    connection = http.client.HTTPConnection(place.hostname, place.port)
    path, bodies = "/embed", [{"inputs": text} for text in texts(200, seed)]
    if model:
        path = "/v1/embeddings"
        bodies = [{"model": model, "input": body["inputs"]} for body in bodies]
    bodies = [json.dumps(body) for body in bodies]
    headers = {"content-type": "application/json"}
    turn = 0
    while time.time() < until:
        start = time.perf_counter()
        connection.request("POST", path, bodies[turn % len(bodies)], headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            times.append(time.perf_counter() - start)
        else:
            refused.append(answer.status)
        turn += 1


def process(url, model, until, seeds, out):
    times, refused = [], []
    place = urllib.parse.urlparse(url)
    threads = [
        threading.Thread(target=client, args=(place, model, until, seed, times, refused)) for seed in seeds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put((times, refused))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--openai", metavar="MODEL", help="ask by OpenAI's route, for this model")
    parser.add_argument("--write", help="write the texts and end")
    args = parser.parse_args()
    if args.write:
        with open(args.write, "w") as file:
            for seed in range(args.clients):
                file.writelines(text + "\n" for text in texts(200, seed))
        return
    until = time.time() + args.seconds
    out = multiprocessing.Queue()
    seeds = [list(range(i, args.clients, args.processes)) for i in range(args.processes)]
    workers = [
        multiprocessing.Process(target=process, args=(args.url, args.openai, until, part, out))
        for part in seeds
    ]
    for worker in workers:
        worker.start()
    parts = [out.get() for _ in workers]
    times = sorted(time for part, _ in parts for time in part)
    refused = [status for _, part in parts for status in part]
    if not times:
        raise SystemExit(f"no answer; refused {len(refused)}")
    print(
        json.dumps(
            {
                "texts_a_second": len(times) / args.seconds,
                "p50_ms": 1000 * times[len(times) // 2],
                "p99_ms": 1000 * times[int(len(times) * 0.99)],
                "refused": len(refused),
            }
        )
    )


if __name__ == "__main__":
    main()
