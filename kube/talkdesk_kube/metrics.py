"""What the product measures of its own dealings with the API server.

=====================================  =================================================================
``talkdesk_kube_request_seconds``      histogram by ``verb``, ``resource``, ``code`` (0: no answer)
``talkdesk_kube_relists_total``        full lists of a reflector, by ``resource`` and ``cause``
``talkdesk_kube_events_dropped_total`` Kubernetes Events not written, by ``cause``
``talkdesk_kube_lease_held``           1 while this process holds the Lease
=====================================  =================================================================
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Histogram(
    "talkdesk_kube_request_seconds",
    "Requests to the API server (a watch: until its answer began)",
    ("verb", "resource", "code"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
RELISTS: Final = Counter("talkdesk_kube_relists", "Full lists of a reflector", ("resource", "cause"))
EVENTS_DROPPED: Final = Counter(
    "talkdesk_kube_events_dropped", "Kubernetes Events that were not written", ("cause",)
)
LEASE_HELD: Final = Gauge("talkdesk_kube_lease_held", "1 while this process holds the Lease", ("lease",))
