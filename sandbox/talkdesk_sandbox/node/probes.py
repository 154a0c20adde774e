"""Probes: the verdict of a row of looks (pure), and one look over HTTP, TCP or by a program."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Obj = dict[str, Any]


class NotSupported(Exception):  # noqa: N818 - named after what it says
    """The pod asks for something a local process cannot have; the message goes into its status."""


@dataclass(frozen=True)
class Schedule:
    """When a probe looks (seconds), and how many equal looks in a row change its verdict."""

    delay: float
    period: float
    timeout: float
    successes: int
    failures: int

    @classmethod
    def of(cls, probe: Obj) -> Schedule:
        """The schedule a probe of a pod's spec asks for."""
        return cls(
            delay=float(probe.get("initialDelaySeconds", 0)),
            period=float(probe.get("periodSeconds", 10)),
            timeout=float(probe.get("timeoutSeconds", 1)),
            successes=int(probe.get("successThreshold", 1)),
            failures=int(probe.get("failureThreshold", 3)),
        )


@dataclass
class Verdict:
    """Counts looks; ``healthy`` is None until a threshold was reached once."""

    schedule: Schedule
    healthy: bool | None = None
    _row: int = 0
    _last: bool | None = None

    def add(self, *, success: bool) -> bool:
        """Take in one look; True where the verdict changed."""
        self._row = self._row + 1 if success == self._last else 1
        self._last = success
        needed = self.schedule.successes if success else self.schedule.failures
        if self._row < needed or self.healthy == success:
            return False
        self.healthy = success
        return True


@dataclass(frozen=True)
class Looker:
    """How to look at one container: where it listens, its named ports, and how to run a program in it."""

    address: str
    ports: dict[str, int]
    execute: Callable[[list[str], float], Awaitable[str]]

    async def look(self, probe: Obj, within: float) -> str:
        """One look; gives why it failed, or "". Raises `NotSupported`."""
        if "httpGet" in probe:
            return await self.http(probe["httpGet"], within)
        if "tcpSocket" in probe:
            return await self._tcp(probe["tcpSocket"], within)
        if "exec" in probe:
            return await self.execute(list(probe["exec"].get("command", [])), within)
        raise NotSupported(
            f"probe of kind {'/'.join(set(probe) & {'grpc'}) or 'unknown'} is not supported by the local node"
        )

    def port(self, port: int | str) -> int:
        """A port's number, by name or number; raises `NotSupported` for a name that is not declared."""
        if isinstance(port, int) or port.isdigit():
            return int(port)
        if port not in self.ports:
            raise NotSupported(f"probe names port {port!r}, which the container does not declare")
        return self.ports[port]

    async def http(self, action: Obj, within: float) -> str:
        """GET; any answer from 200 to 399 is success, certificates are not checked (as by the kubelet)."""
        scheme = str(action.get("scheme", "HTTP")).lower()
        host = action.get("host") or self.address
        url = f"{scheme}://{host}:{self.port(action['port'])}/{str(action.get('path', '/')).lstrip('/')}"
        headers = {"User-Agent": "kube-probe/talkdesk-sandbox", "Connection": "close"}
        headers |= {header["name"]: header["value"] for header in action.get("httpHeaders", [])}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=within)) as session,
                session.get(url, headers=headers, ssl=_UNCHECKED, allow_redirects=False) as answer,
            ):
                return (
                    ""
                    if 200 <= answer.status < 400
                    else f"HTTP probe failed with statuscode: {answer.status}"
                )
        except TimeoutError:
            return f"Get {url}: no answer within {within:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return f"Get {url}: {error}"

    async def _tcp(self, action: Obj, within: float) -> str:
        host, port = action.get("host") or self.address, self.port(action["port"])
        try:
            async with asyncio.timeout(within):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            return f"dial tcp {host}:{port}: no answer within {within:g} s"
        except OSError as error:
            return f"dial tcp {host}:{port}: {error}"
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return ""


def _unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_UNCHECKED = _unchecked()

# Kubernetes' kubelet first looks when the period comes round, up to a second after the start. Somebody is
# waiting here: until a container is ready for the first time, it is looked at this often (seconds); only
# success counts.
EARLY_LOOK = 0.1
EARLY_LOOKS_END = 15.0


async def watch_probe(
    probe: Obj,
    looker: Looker,
    changed: Callable[[bool, str], None],
    *,
    early: bool = False,
) -> None:
    """Look on schedule until cancelled; ``changed(healthy, why)`` at each change of the verdict.

    ``early`` looks more often until the first success (see above). Raises `NotSupported`.
    """
    schedule = Schedule.of(probe)
    verdict = Verdict(schedule)
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(schedule.delay)
    began = clock()
    due = began
    while True:
        why = await looker.look(probe, schedule.timeout)
        on_schedule = clock() >= due
        if (on_schedule or not why) and verdict.add(success=not why):
            changed(not why, why)
        if on_schedule:
            due = max(due + schedule.period, clock())
        hurry = early and verdict.healthy is not True and clock() - began < EARLY_LOOKS_END
        pause = max(due - clock(), 0.0)
        await asyncio.sleep(min(pause, EARLY_LOOK) if hurry else pause)
