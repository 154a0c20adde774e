"""What the gateway counts. Every label has a bounded set of values: nothing a stranger sends becomes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from talkdesk_gateway.verdict import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric


class Metrics:
    """Recorders on a registry of their own (None: a new one)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._steps = Counter(
            "talkdesk_gateway_sign_in_steps",
            "Steps of the sign-in (launch, start, callback, enter, sign-out, session) by outcome: on, "
            "waiting, another-user, or why it was refused.",
            ["step", "outcome"],
            registry=self.registry,
        )
        self._talkdesk = Histogram(
            "talkdesk_gateway_identify_seconds",
            "From a code to who the user is, as Talkdesk says, by outcome: known, refused, failed.",
            ["outcome"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self._look_ups = Counter(
            "talkdesk_gateway_user_look_ups",
            "Users whom nobody knew when they signed in, by what a look at Talkdesk's list gave: found, "
            "unknown, failed.",
            ["outcome"],
            registry=self.registry,
        )
        self._decisions = _Decisions()
        self.registry.register(self._decisions)
        self.websockets = Gauge(
            "talkdesk_gateway_websockets", "WebSockets that are open at present.", registry=self.registry
        )
        self._ended = Counter(
            "talkdesk_gateway_websockets_ended",
            "WebSockets that ended, by what ended them: peer, moved, idle, stopping, or why it was refused.",
            ["cause"],
            registry=self.registry,
        )

    def watch(self, *, fresh: Callable[[], bool], installations: Callable[[], int]) -> None:
        """Show, whenever metrics are read, what is known and whether it may be relied on."""
        known = Gauge(
            "talkdesk_gateway_installations", "Installations that the watches show.", registry=self.registry
        )
        known.set_function(installations)
        relied = Gauge(
            "talkdesk_gateway_fresh",
            "1 while Kubernetes was heard of lately; at 0 nobody is let in.",
            registry=self.registry,
        )
        relied.set_function(fresh)

    def decided(self, outcome: str) -> None:
        """Count a decision: ``passed``, or the refusal's value."""
        self._decisions.counts[outcome] += 1

    def ended(self, cause: str) -> None:
        """Count a WebSocket that ended."""
        self._ended.labels(cause=cause).inc()

    def step(self, step: str, outcome: str) -> None:
        """Count a step; both are constants of the code."""
        self._steps.labels(step=step, outcome=outcome).inc()

    def identified(self, outcome: str, seconds: float) -> None:
        """Count a question to Talkdesk who a user is."""
        self._talkdesk.labels(outcome=outcome).observe(seconds)

    def looked_up(self, outcome: str) -> None:
        """Count a look for an unknown user."""
        self._look_ups.labels(outcome=outcome).inc()


class _Decisions(Collector):
    """A plain dictionary: a Counter takes a lock, at every request, and there is one thread."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("passed", *(refusal.value for refusal in Refusal)), 0)

    def collect(self) -> Iterable[Metric]:
        """As the registry asks for it."""
        family = CounterMetricFamily(
            "talkdesk_gateway_decisions",
            "Requests by what became of them: passed, or why they were refused; WebSockets among them.",
            labels=["outcome"],
        )
        for outcome, count in self.counts.items():
            family.add_metric([outcome], count)
        return [family]
