"""Gauges about all installations, computed when they are asked for, so that no series outlives its object.

======================================  ==============================================================
``talkdesk_installations``              by ``app``, ``access`` and ``reason`` (of ``status.access``)
``talkdesk_installations_paused``       by ``app``: tenants that a person's annotation keeps writes from
``talkdesk_brake_held``                 by ``app`` and ``region``: customers whose access the brake keeps
``talkdesk_resync_age_seconds``         by ``app``: since the longest unread installation was read (or,
                                        before that, since this replica began to work)
``talkdesk_mails_owed``                 by ``app``: mails that are to be sent still
======================================  ==============================================================

The working replica alone shows them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from talkdesk_operator.mail import record
from talkdesk_operator.paused import is_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import Metric

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.endings import Endings
    from talkdesk_operator.memory import Memory


class Fleet(Collector):
    """Register it once this replica works; ``monotonic`` is the clock of the readings in ``memory``."""

    def __init__(
        self, caches: Caches, memory: Memory, endings: Endings, monotonic: Callable[[], float]
    ) -> None:
        self._caches = caches
        self._memory = memory
        self._endings = endings
        self._monotonic = monotonic
        self._began = monotonic()

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not read the caches."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The gauges of this moment."""
        names: dict[str, str] = {}
        for app in self._caches.apps.all():
            names.setdefault(app.spec.app_id, app.metadata.name)
        standing: Counter[tuple[str, str, str]] = Counter()
        paused: Counter[str] = Counter()
        owed: Counter[str] = Counter()
        read: dict[str, float] = {}
        for one in self._caches.installations.all():
            name = names.get(one.spec.app_id, "")
            access = one.status.access
            standing[name, access.state if access else "", access.reason if access else ""] += 1
            paused[name] += is_paused(one)
            owed[name] += sum(mail.state == "owed" for mail in record.of(one))
            if access is not None and access.state == "Allowed":
                read[name] = min(read.get(name, self._monotonic()), self._read(one))
        yield _family("talkdesk_installations", "Installations", ("app", "access", "reason"), standing)
        yield _family(
            "talkdesk_installations_paused",
            "Tenants that nothing is written to",
            ("app",),
            {(name,): count for name, count in paused.items() if count},
        )
        yield _family(
            "talkdesk_mails_owed",
            "Mails that are to be sent still",
            ("app",),
            {(name,): count for name, count in owed.items()},
        )
        yield _family(
            "talkdesk_resync_age_seconds",
            "Since the longest unread installation was read",
            ("app",),
            {(name,): self._monotonic() - begun for name, begun in read.items()},
        )
        yield _family(
            "talkdesk_brake_held",
            "Customers whose access the brake keeps",
            ("app", "region"),
            {
                (app.metadata.name, region): found.waiting
                for app in self._caches.apps.all()
                for region, found in self._endings.brakes(app).items()
                if found.holds
            },
        )

    def _read(self, one: TalkdeskInstallation) -> float:
        known = self._memory.known(one)
        reading = known.reading if known is not None else None
        return max(self._began, reading.begun) if reading is not None else self._began


def _family(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(list(key), value)
    return family
