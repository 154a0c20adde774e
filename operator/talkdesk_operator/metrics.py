"""What the operator measures of itself.

======================================  ==============================================================
``talkdesk_reconcile_seconds``          histogram of passes, by ``kind`` of key and ``outcome``
``talkdesk_queue_waiting``              keys that want a worker
``talkdesk_queue_oldest_seconds``       how long the oldest of them has waited
``talkdesk_queue_running``              keys being worked on
``talkdesk_answers_total``              answers Talkdesk accepted, by ``answer`` and ``state``
``talkdesk_answer_seconds``             histogram: from when Talkdesk began to wait to our answer
``talkdesk_writes_total``               objects of tenants written or deleted, by ``action``
``talkdesk_mails_total``                attempts to mail, by ``outcome`` told of and ``result``: sent,
                                        failed (it is tried again), given up
======================================  ==============================================================

The queue's are 0 while another replica works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from talkdesk_operator.keys import AppKey, KeysKey, MailKey, RevokeKey, SweepKey

if TYPE_CHECKING:
    from datetime import timedelta

    from talkdesk_operator.keys import Key
    from talkdesk_operator.queue import WorkQueue

_PASSES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
_ANSWERS = (0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86400)
_KINDS = {AppKey: "app", SweepKey: "credentials", KeysKey: "keys", RevokeKey: "revocation", MailKey: "mail"}
_KNOWN_STATES = frozenset({"installing", "updating", "pending", "uninstalled"})


class Metrics:
    """The operator's own series, in ``registry``."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._passes = Histogram(
            "talkdesk_reconcile_seconds",
            "Passes over a key",
            ("kind", "outcome"),
            buckets=_PASSES,
            registry=registry,
        )
        self._answers = Counter(
            "talkdesk_answers", "Answers that Talkdesk accepted", ("answer", "state"), registry=registry
        )
        self._answer_seconds = Histogram(
            "talkdesk_answer_seconds",
            "From when Talkdesk began to wait to our answer",
            ("answer",),
            buckets=_ANSWERS,
            registry=registry,
        )
        self._writes = Counter(
            "talkdesk_writes", "Objects of tenants written or deleted", ("action",), registry=registry
        )
        self._mails = Counter("talkdesk_mails", "Attempts to mail", ("outcome", "result"), registry=registry)
        self._waiting = Gauge("talkdesk_queue_waiting", "Keys that want a worker", registry=registry)
        self._oldest = Gauge(
            "talkdesk_queue_oldest_seconds", "How long the oldest key has waited", registry=registry
        )
        self._running = Gauge("talkdesk_queue_running", "Keys being worked on", registry=registry)

    def watch(self, queue: WorkQueue[Key]) -> None:
        """Show ``queue`` in the gauges, which are 0 before."""
        self._waiting.set_function(lambda: len(queue))
        self._oldest.set_function(queue.oldest)
        self._running.set_function(lambda: queue.running)

    def passed(self, key: Key | RevokeKey | MailKey, seconds: float, failed: bool) -> None:
        """A pass has ended."""
        kind = _KINDS.get(type(key), "tenant")
        self._passes.labels(kind, "failed" if failed else "done").observe(seconds)

    def answered(self, answer: str, state: str, waited: timedelta) -> None:
        """Talkdesk accepted an answer. States are open strings: unknown ones share one series."""
        self._answers.labels(answer, state if state in _KNOWN_STATES else "other").inc()
        self._answer_seconds.labels(answer).observe(max(0.0, waited.total_seconds()))

    def mailed(self, outcome: str, result: str) -> None:
        """An attempt to mail has ended."""
        self._mails.labels(outcome, result).inc()

    def wrote(self, *, applied: int, pruned: int) -> None:
        """Objects of a tenant were written or deleted."""
        self._writes.labels("applied").inc(applied)
        self._writes.labels("pruned").inc(pruned)
