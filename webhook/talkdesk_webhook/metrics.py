"""What the webhook counts. Every label has a bounded set of values: nothing a stranger sends becomes one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from talkdesk_webhook import life


class Metrics:
    """Recorders on a registry of their own (None: a new one)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._events = Counter(
            "talkdesk_webhook_events",
            "Verified events by type and what became of them: stored, already-stored, foreign, unusable, "
            "not-stored.",
            ["type", "outcome"],
            registry=self.registry,
        )
        self._refusals = Counter(
            "talkdesk_webhook_refusals",
            "Requests refused before anything was written, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._oddities = Counter(
            "talkdesk_webhook_oddities",
            "What was odd about events that were accepted all the same.",
            ["oddity"],
            registry=self.registry,
        )
        self._key_look_ups = Counter(
            "talkdesk_webhook_key_look_ups",
            "Questions to Talkdesk's gateways for a signature key, by answer: found, unknown, failed.",
            ["answer"],
            registry=self.registry,
        )
        self.conflicts = Counter(
            "talkdesk_webhook_store_conflicts",
            "Writes that lost against another writer and were folded again.",
            registry=self.registry,
        )
        self.seconds = Histogram(
            "talkdesk_webhook_request_seconds",
            "From a request's headers to its answer.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.inflight_bytes = Gauge(
            "talkdesk_webhook_inflight_bytes", "Bytes of bodies held at present.", registry=self.registry
        )

    def event(self, event_type: str | None, outcome: str) -> None:
        """Count a verified event; types that are not documented are counted together."""
        known = event_type if event_type in life.KNOWN_TYPES else "unknown"
        self._events.labels(type=known, outcome=outcome).inc()

    def refused(self, reason: str) -> None:
        """Count a refused request; ``reason`` is one of the constants of the code."""
        self._refusals.labels(reason=reason).inc()

    def odd(self, oddity: str) -> None:
        """Count an oddity of an accepted event."""
        self._oddities.labels(oddity=oddity).inc()

    def key_look_up(self, answer: str) -> None:
        """Count a question to a gateway."""
        self._key_look_ups.labels(answer=answer).inc()
