"""The operator's settings: all from the environment, see ``docs/interfaces.md``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from talkdesk_kube.pod import PodSettings
from talkdesk_operator.mail.settings import MailSettings

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SecondsOrOff = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class OperatorSettings(MailSettings, PodSettings):
    """What the chart sets; durations are seconds."""

    lease_seconds: Seconds = 15.0
    lease_renew_seconds: Seconds = 10.0
    lease_retry_seconds: Seconds = 2.0
    workers: Annotated[int, Field(ge=1, le=256)] = 8
    #: 0 switches it off: Talkdesk is then read on events and on the resync annotation only.
    resync_seconds: SecondsOrOff = 43200.0
    pending_resync_seconds: Seconds = 30.0
    #: Installations of one region that a resync reads in a second, at the most.
    resync_rate: Annotated[float, Field(gt=0, le=1000)] = 5.0
    #: So long an end of access that Talkdesk's API alone tells of is held, for the brake to see whether it is
    #: one among many.
    brake_seconds: SecondsOrOff = 120.0
    #: Talkdesk's three deliveries of an event take 15 minutes; what asks for an answer is waited for so long.
    event_seconds: SecondsOrOff = 1200.0
    #: A watch without event or bookmark for so long is given up; the server sends a bookmark each minute.
    watch_silence_seconds: Seconds = 75.0
    probe_seconds: Seconds = 0.2
    tenant_cluster_role: Annotated[str, Field(min_length=1)]
    #: The operator's own service account, to which it binds the tenants' role; empty: ``<release>-operator``.
    service_account: str = ""
    #: New credentials that are refused are waited for so long before that is called a refusal.
    spreading_seconds: Seconds = 1800.0
    #: An uninstalled app's credentials that are refused for so long are taken for revoked.
    revoked_seconds: Seconds = 3600.0
    #: What was begun with the old credentials has so long to end before the new ones are acknowledged.
    acknowledge_seconds: Seconds = 60.0
    #: Credentials that nobody needs are looked for this often, and deleted where they are at least so old.
    sweep_seconds: Seconds = 3600.0
    superseded_seconds: Seconds = 3600.0
    unclaimed_seconds: Seconds = 2592000.0
    #: So many installations of apps that nobody declared are kept; the oldest beyond go in the same sweep.
    undeclared_kept: Annotated[int, Field(ge=0)] = 100
    #: How long an applied revocation is kept; redeliveries of its event come within 15 minutes.
    revocation_seconds: Seconds = 86400.0
    #: Age at which a new key is made: one that seals sessions, one that signs identities.
    session_key_seconds: Seconds = 2592000.0
    identity_key_seconds: Seconds = 2592000.0
    #: How browsers reach the tenants; port 0 is the scheme's own.
    public_scheme: Literal["https", "http"] = "https"
    public_port: Annotated[int, Field(ge=0, le=65535)] = 0
    #: How long passes in hand may take after SIGTERM; below the pod's grace period.
    finish_seconds: Seconds = 20.0
    #: A watch that was silent for so long makes the process report itself as not alive.
    stale_seconds: Seconds = 600.0
