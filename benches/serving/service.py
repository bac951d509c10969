"""A service of its own for a measurement: started, asked, looked at, ended.

Shared by soak.py and overload.py. Answers are compared with those that the service gave when
nothing else was asked of it: an embedding may differ by what batching changes, 1e-4.
"""

import http.client
import json
import re
import signal
import subprocess
import threading
import time

from load import texts

TOLERANCE = 1e-4
HEADERS = {"content-type": "application/json"}


def body(text):
    return json.dumps({"inputs": text}).encode()


def same(found, expected):
    rows = json.loads(found)
    return (
        len(rows) == 1
        and len(rows[0]) == len(expected)
        and max(abs(a - b) for a, b in zip(rows[0], expected)) <= TOLERANCE
    )


class Service:
    """`offshoot serve BUNDLE` on a free port, with texts whose answers are known."""

    def __init__(self, program, bundle, data, count=200, options=()):
        command = [program, "serve", f"bench={bundle}", "--listen", "127.0.0.1:0", "--data", data]
        self.process = subprocess.Popen(
            [*command, *options], stderr=subprocess.PIPE, text=True
        )
        address = self.process.stderr.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", address.strip())
        if not found:
            raise SystemExit(f"the service does not start: {address}{self.process.stderr.read()}")
        self.port = int(found[1])
        # What it says meanwhile must not fill the pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        connection = self.connect()
        self.texts = texts(count, 7)
        self.known = []
        for text in self.texts:
            status, _, answer = ask(connection, text)
            if status != 200:
                raise SystemExit(f"{status}: {answer}")
            self.known.append(json.loads(answer)[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60) != 0:
            raise SystemExit(f"the service ended with {self.process.returncode}")

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def metric(self, name):
        connection = self.connect()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])

    def memory(self):
        """Megabytes: private and dirty, and all that is resident."""
        with open(f"/proc/{self.process.pid}/smaps_rollup") as file:
            kilobytes = dict(re.findall(r"^(\w+): +(\d+) kB$", file.read(), re.M))
        return int(kilobytes["Private_Dirty"]) / 1024, int(kilobytes["Rss"]) / 1024

    def capacity(self, seconds, clients=64):
        """Texts a second when so many clients ask again as soon as they are answered."""
        until = time.perf_counter() + seconds
        counts = [0] * clients

        def client(number):
            connection, turn = self.connect(), number
            while time.perf_counter() < until:
                status, _, _ = ask(connection, self.texts[turn % len(self.texts)])
                counts[number] += status == 200
                turn += clients

        start = time.perf_counter()
        threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.perf_counter() - start)


def ask(connection, text):
    connection.request("POST", "/embed", body(text), HEADERS)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def quantiles(times):
    times = sorted(times)
    if not times:
        return None
    at = lambda share: round(1000 * times[min(int(len(times) * share), len(times) - 1)], 1)
    return {"p50": at(0.5), "p99": at(0.99), "max": at(1)}
