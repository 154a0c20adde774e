"""The operator's settings: all from the environment, see ``docs/interfaces.md``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from talkdesk_kube.pod import PodSettings

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class OperatorSettings(PodSettings):
    """What the chart sets; durations are seconds."""

    lease_seconds: Seconds = 15.0
    lease_renew_seconds: Seconds = 10.0
    lease_retry_seconds: Seconds = 2.0
    workers: Annotated[int, Field(ge=1, le=256)] = 8
    resync_seconds: Seconds = 43200.0
    pending_resync_seconds: Seconds = 30.0
    probe_seconds: Seconds = 0.2
    tenant_cluster_role: Annotated[str, Field(min_length=1)]
    #: The operator's own service account, to which it binds the tenants' role; empty: ``<release>-operator``.
    service_account: str = ""
    #: How long an applied revocation is kept; redeliveries of its event come within 15 minutes.
    revocation_seconds: Seconds = 86400.0
    #: How long passes in hand may take after SIGTERM; below the pod's grace period.
    finish_seconds: Seconds = 20.0
    #: A watch that was silent for so long makes the process report itself as not alive.
    stale_seconds: Seconds = 600.0
