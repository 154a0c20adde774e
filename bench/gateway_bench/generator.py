"""Load without wrk: ``python -m gateway_bench.generator HOST PORT CONNECTIONS SECONDS FILE``.

``FILE`` is a JSON list of requests. Prints what wrk's script prints. Python itself is its limit: it shows
that everything works, and its rates compare nothing but itself.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from pathlib import Path

from gateway_bench.wire import Line


async def load(host: str, port: int, *, connections: int, seconds: float, requests: list[bytes]) -> str:
    """One JSON object: requests, seconds, p50_us, p99_us, failed."""
    turn = itertools.cycle(requests)
    began = time.monotonic()
    end = began + seconds
    took: list[float] = []
    failed = 0

    async def ask() -> None:
        nonlocal failed
        line = Line((host, port))
        try:
            while time.monotonic() < end:
                answer = await line.ask(next(turn))
                took.append(answer.done - answer.sent)
                failed += answer.status != 200
        finally:
            line.close()

    await asyncio.gather(*(ask() for _ in range(connections)))
    passed = time.monotonic() - began
    took.sort()
    found = {f"p{part}_us": 1e6 * took[min(len(took) - 1, len(took) * part // 100)] for part in (50, 99)}
    return json.dumps({"requests": len(took), "seconds": passed, "failed": failed, **found})


def main() -> None:
    """See the module."""
    host, port, connections, seconds, file = sys.argv[1:6]
    requests = [one.encode() for one in json.loads(Path(file).read_text())]
    running = load(host, int(port), connections=int(connections), seconds=float(seconds), requests=requests)
    print(asyncio.run(running))


if __name__ == "__main__":
    main()
