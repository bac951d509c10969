"""A service that is asked for ten times what it can: what is answered, refused and how late.

    python overload.py minilm.offshoot --times 10 --seconds 60
    python overload.py minilm.offshoot --program target/release/offshoot --queue-tokens 32768

Measures the capacity, then asks at the times of a Poisson process of `--times` the capacity,
whether or not what was asked before is answered. An answer must be right, or 429 or 503 with
Retry-After. `queue_ms` is how long a full queue takes: `--queue-tokens` over the tokens a second
that were computed under the load; what is accepted should wait for little more. Then the load ends, and the service must answer one text as before. Prints JSON; ends with 1 if an
answer was wrong, broken or refused otherwise.

The client runs on the same processors: `asked_a_second` is what it managed. A service has
`--connections` places (1,024), each with one request of HTTP/1.1 at a time; a queue that takes
more requests than that refuses none, and clients wait for a place instead.
"""

import argparse
import asyncio
import json
import random
import resource
import tempfile
import time

from service import Service, ask, body, quantiles, same


class Client:
    """Connections that are kept and used again, as many as are needed at a time."""

    def __init__(self, port, patience):
        self.port, self.patience, self.idle = port, patience, []

    async def ask(self, text):
        """The status, the head's lines and the body."""
        reader, writer = (
            self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
        )
        try:
            sent = body(text)
            writer.write(
                b"POST /embed HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(sent), sent)
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in head[1:] if line)
            found = await reader.readexactly(int(fields["content-length"]))
        except BaseException:
            writer.close()
            raise
        self.idle.append((reader, writer))
        return int(head[0].split()[1]), fields, found


async def load(service, rate, seconds, patience, out):
    client = Client(service.port, patience)
    draw = random.Random(11)

    async def one(at):
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(patience):
                status, fields, found = await client.ask(service.texts[at])
        except (OSError, asyncio.IncompleteReadError, TimeoutError, KeyError) as error:
            out["broken"].append(type(error).__name__)
            return
        spent = time.perf_counter() - begun
        if status == 200:
            right = same(found, service.known[at])
            out["times" if right else "wrong"].append(spent)
        elif status in (429, 503) and fields.get("retry-after", "").isdigit():
            out["refused"].append(spent)
        else:
            out["otherwise"].append(status)

    start = due = time.perf_counter()
    tasks, turn = set(), 0
    while due < start + seconds:
        due += draw.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if time.perf_counter() > start + seconds:
            break
        task = asyncio.create_task(one(turn % len(service.texts)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        turn += 1
    asked = turn / (time.perf_counter() - start)
    await asyncio.gather(*tasks)
    return asked


def alone(service, count=50):
    """Times of one text at a time."""
    connection, times = service.connect(), []
    for text in service.texts[:count]:
        begun = time.perf_counter()
        if ask(connection, text)[0] != 200:
            raise SystemExit("the service refuses a text while nothing else is asked")
        times.append(time.perf_counter() - begun)
    return quantiles(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle")
    parser.add_argument("--program", default="offshoot")
    parser.add_argument("--times", type=float, default=10, help="the capacity")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=20, help="seconds to measure the capacity")
    parser.add_argument("--queue-tokens", type=int, default=32768)
    parser.add_argument("--patience", type=float, default=120, help="seconds for an answer")
    args = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    options = ["--queue-tokens", str(args.queue_tokens)]
    with (
        tempfile.TemporaryDirectory() as data,
        Service(args.program, args.bundle, data, options=options) as service,
    ):
        capacity = service.capacity(args.warm_up)
        before, memory = alone(service), service.memory()[0]
        out = {"times": [], "refused": [], "wrong": [], "broken": [], "otherwise": []}
        computed, begun = service.metric("offshoot_tokens_total"), time.perf_counter()
        asked = asyncio.run(
            load(service, args.times * capacity, args.seconds, args.patience, out)
        )
        tokens = service.metric("offshoot_tokens_total") - computed
        tokens /= time.perf_counter() - begun
        after = alone(service)
        told = {
            "capacity_texts_a_second": round(capacity, 1),
            "asked_a_second": round(asked, 1),
            "answered": len(out["times"]),
            "refused_429_or_503": len(out["refused"]),
            "wrong": len(out["wrong"]),
            "broken": len(out["broken"]),
            "kinds_of_broken": sorted(set(out["broken"])),
            "refused_otherwise": sorted({str(status) for status in out["otherwise"]}),
            "ms_of_answered": quantiles(out["times"]),
            "queue_ms": round(1000 * args.queue_tokens / tokens, 1),
            "ms_of_refused": quantiles(out["refused"]),
            "ms_alone_before": before,
            "ms_alone_after": after,
            "private_dirty_mb": [round(memory, 1), round(service.memory()[0], 1)],
        }
    print(json.dumps(told, indent=1))
    raise SystemExit(1 if out["wrong"] or out["broken"] or out["otherwise"] else 0)


if __name__ == "__main__":
    main()
