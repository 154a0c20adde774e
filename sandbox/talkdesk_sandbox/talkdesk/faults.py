"""Faults on demand: Talkdesk slow, overloaded, broken, or cut off before or after it acted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to the next ``times`` requests (None: to all, until the faults are cleared) that match.

    They match by method, whole path, any part of the query (of one page of a list, say), and the region
    whose host is asked.

    It delays by ``delay_seconds`` of wall time, then cuts the connection (``cut``), or answers ``status``
    with ``headers`` and ``body``, or (neither given) lets the request through. ``when`` is ``before`` the
    request is acted on, or ``after`` it: then only its answer is late, lost or replaced.
    """

    path: str = ".*"
    query: str = ""
    method: str | None = None
    region: str | None = None
    times: int | None = 1
    when: Literal["before", "after"] = "before"
    status: int | None = None
    cut: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    delay_seconds: float = 0.0

    def matches(self, method: str, path: str, query: str, region: str | None) -> bool:
        """Whether it is meant for this request."""
        here = self.region in {None, region} and self.method in {None, method}
        return here and bool(re.fullmatch(self.path, path)) and bool(re.search(self.query, query))


class Faults:
    """The faults in force, in the order they were asked for."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def take(self, method: str, path: str, query: str, region: str | None) -> Fault | None:
        """The first fault for this request to ``region``, used up by one."""
        for index, fault in enumerate(self.waiting):
            if fault.matches(method, path, query, region):
                if fault.times is None:
                    return fault
                if fault.times > 1:
                    self.waiting[index] = replace(fault, times=fault.times - 1)
                else:
                    del self.waiting[index]
                return fault
        return None
