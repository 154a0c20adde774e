"""Bare Envoy, signed-in traffic through the product, and the decision endpoint alone, in turn."""

from __future__ import annotations

import os
import re
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_bench.stage import DECISION_PORT, WrongAnswer
from gateway_bench.wire import request
from talkdesk_sandbox.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_bench.load import Generator, Load
    from gateway_bench.stage import SignedIn, Stage
    from talkdesk_sandbox.envoy import EnvoyProcess

#: One request in so many opens a page; the page's own come in between.
PAGE_EVERY = 20

_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
_PAGE = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "sec-fetch-site": "same-origin",
}
_DATA = {
    "accept": "application/json",
    "sec-fetch-dest": "empty",
    "sec-fetch-mode": "cors",
    "sec-fetch-site": "same-origin",
}


@dataclass
class Throughput:
    """The runs of each, in their order: ``bare``, ``product``, ``endpoint``.

    ``cpu``: seconds of CPU that each program spent over all runs of one, by that name and the program's.
    Unlike a rate it hardly depends on what else the machine does.
    """

    runs: dict[str, list[Load]] = field(default_factory=lambda: {"bare": [], "product": [], "endpoint": []})
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)

    def cpu_us(self, name: str) -> dict[str, float]:
        """Microseconds of CPU a request, by program."""
        requests = sum(load.requests for load in self.runs[name])
        return {program: 1e6 * seconds / requests for program, seconds in self.cpu[name].items()}


async def measure(
    stage: Stage, generator: Generator, *, pairs: int, seconds: float, tell: Callable[[str], None]
) -> Throughput:
    """``pairs`` times each, one after another, after a round that does not count.

    Raises WrongAnswer where anything but 200 was answered.
    """
    found = Throughput()
    ways = _Ways(stage, generator)
    for number in range(pairs + 1):
        rates = []
        for name, runs in found.runs.items():
            before = _cpu(stage)
            load: Load = await getattr(ways, name)(seconds if number else min(seconds, 2.0))
            rates.append(f"{name} {load.rate:.0f}/s")
            if number:
                runs.append(load)
                spent = found.cpu.setdefault(name, dict.fromkeys(before, 0.0))
                for program, seconds_now in _cpu(stage).items():
                    spent[program] += seconds_now - before[program]
        tell(f"{f'pair {number}' if number else 'warm-up'}: {', '.join(rates)}")
    return found


def _cpu(stage: Stage) -> dict[str, float]:
    """Seconds of CPU so far, by program; ``load`` is all generators that ended."""
    pids = {
        "bare Envoy": [stage.bare.pid],
        "Envoy": [stage.product.pid],
        "gateways": [one.pid for one in stage.gateways],
        "upstream": [stage.upstream.pid],
    }
    spent = {program: sum(map(_seconds_of, some)) for program, some in pids.items()}
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {**spent, "load": children.ru_utime + children.ru_stime}


def _seconds_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class _Ways:
    stage: Stage
    generator: Generator

    async def bare(self, seconds: float) -> Load:
        return await self._through(self.stage.bare, seconds)

    async def product(self, seconds: float) -> Load:
        return await self._through(self.stage.product, seconds)

    async def _through(self, envoy: EnvoyProcess, seconds: float) -> Load:
        requests = [one for user in self.stage.everyone for one in as_browser(user)]
        before = _answers(envoy)
        load = await self.generator.run(("127.0.0.1", envoy.ports["public"]), requests, seconds=seconds)
        after = _answers(envoy)
        wrong = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        passed = wrong.pop("2xx", 0)
        if wrong or load.failed or passed < load.requests:
            raise WrongAnswer(f"of {load.requests} requests {passed} passed; others: {wrong}, {load.failed}")
        return load

    async def endpoint(self, seconds: float) -> Load:
        """One gateway of them all."""
        gateway, address = self.stage.gateways[0], self.stage.addresses[0]
        requests = [one for user in self.stage.everyone for one in as_envoy(user)]
        before = await decisions(gateway.url)
        load = await self.generator.run((address, DECISION_PORT), requests, seconds=seconds)
        after = await decisions(gateway.url)
        made = {
            name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)
        }
        passed = made.pop("passed", 0)
        if made or load.failed or passed < load.requests:
            raise WrongAnswer(f"of {load.requests} decisions {passed} passed; others: {made}, {load.failed}")
        return load


def as_browser(user: SignedIn) -> list[bytes]:
    """What ``user``'s browser sends: a page, and then what its scripts ask for."""
    own = {"host": user.host, "user-agent": _AGENT, "accept-language": "en", "cookie": user.cookie}
    # Compressing is the app's business, and asked for by pages and scripts alike.
    own["accept-encoding"] = "gzip, deflate, br"
    page = request("GET", "/page", {**own, **_PAGE})
    data = request("GET", "/api/calls?from=0&to=28", {**own, **_DATA})
    return [page, *[data] * (PAGE_EVERY - 1)]


def as_envoy(user: SignedIn) -> list[bytes]:
    """What Envoy asks the decision about them."""
    own = {
        "host": user.host,
        "content-length": "0",
        "user-agent": _AGENT,
        "cookie": user.cookie,
        "x-request-id": "0d2ee1f4-7f6c-4b62-9b7e-0f2d5c8c7a11",
        "x-forwarded-for": "127.0.0.1",
        "x-envoy-expected-rq-timeout-ms": "3000",
    }
    page = request("GET", "/decide/page", {**own, **_PAGE})
    data = request("GET", "/decide/api/calls?from=0&to=28", {**own, **_DATA})
    return [page, *[data] * (PAGE_EVERY - 1)]


def _answers(envoy: EnvoyProcess) -> dict[str, int]:
    """Of the public listener, by class of status."""
    stats = envoy.stats(r"^http\.public\.downstream_rq_[1-5]xx$")
    return {name.rpartition("_")[2]: value for name, value in stats.items()}


async def decisions(url: str) -> dict[str, int]:
    """Of a gateway, by outcome."""
    async with plain() as http:
        text = (await http.get(f"{url}/metrics")).text
    found = re.findall(r'^talkdesk_gateway_decisions_total\{outcome="([^"]+)"\} (\S+)$', text, re.MULTILINE)
    return {outcome: int(float(value)) for outcome, value in found}
