"""What an error means for the reconciliation, in one place. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import talkdesk_client as talkdesk
from talkdesk_crds.conditions import Reason
from talkdesk_kube import Forbidden, Invalid, KubeError, ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: In a tenant's first seconds its RoleBinding and its labels may not have reached every API server yet.
YOUNG_SECONDS = 30.0
_FORBIDDEN = 403
#: How the API server's 500 begins where a server-side apply has a field of the wrong type.
_MISTYPED = "failed to create typed patch object"


class Kind(Enum):
    """What to do about a failure."""

    #: Nothing changes by itself: shown, and rejected once the app's patience ends.
    PERMANENT = "Permanent"
    #: Repeated with backoff.
    TRANSIENT = "Transient"
    #: Talkdesk refuses our credentials; a new scope takes minutes to spread, so this is repeated as well.
    REFUSED = "Refused"


@dataclass(frozen=True)
class Failure:
    """One classified error; ``retry_after`` in seconds where the other side asked for it."""

    kind: Kind
    reason: Reason
    message: str
    retry_after: float | None = None
    #: Of a refusal: these credentials are over (401), not merely kept out (403).
    final: bool = False

    @property
    def permanent(self) -> bool:
        """Waiting does not help."""
        return self.kind is Kind.PERMANENT


def of_kube(error: KubeError, *, tenant_age: float | None = None) -> Failure:
    """A refused or failed request to the API server while applying; ``tenant_age`` in seconds."""
    young = tenant_age is None or tenant_age < YOUNG_SECONDS
    lagging = young and isinstance(error, Forbidden | Invalid)
    # What is applied was found to fit: a raised quota counts only once its controller has seen it.
    lagging = lagging or (isinstance(error, Forbidden) and error.quota_exceeded)
    if (error.transient or lagging) and not _mistyped(error):
        return Failure(Kind.TRANSIENT, Reason.APPLY_RETRYING, str(error), error.retry_after)
    return Failure(Kind.PERMANENT, Reason.APPLY_FAILED, str(error), error.retry_after)


def _mistyped(error: KubeError) -> bool:
    """A field of the wrong type: the API server answers 500 to that in a server-side apply, for ever."""
    return isinstance(error, ServerError) and _MISTYPED in error.status.message


def of_reading(error: talkdesk.TalkdeskError) -> Failure:
    """A refused or failed reading of the installation itself.

    The token endpoint has granted the scope, and what is asked for is the credentials' own installation: a
    403 is then about where we call from. Customers may restrict calls to lists of addresses.
    """
    if isinstance(error, talkdesk.Forbidden):
        return Failure(Kind.REFUSED, Reason.ACCESS_BLOCKED, str(error), error.retry_after)
    return of_talkdesk(error)


def of_rehearsal(error: KubeError, item: Mapping[str, Any]) -> Failure | None:
    """What the dry run of a change to ``item`` says against it; None where nothing does.

    A quota's refusal says nothing: the change itself may raise the quota.
    """
    if isinstance(error, Forbidden) and error.quota_exceeded:
        return None
    if error.transient and not _mistyped(error):
        return Failure(Kind.TRANSIENT, Reason.APPLY_RETRYING, str(error), error.retry_after)
    status = error.status
    said = [f"{one.field}: {one.message}" if one.message else one.field for one in status.causes if one.field]
    message = "; ".join(dict.fromkeys(said)) or status.message
    return Failure(
        Kind.PERMANENT,
        Reason.CHANGE_REFUSED,
        f"{item['kind']} {item['metadata']['name']} cannot be changed: {message}",
        error.retry_after,
    )


def of_talkdesk(error: talkdesk.TalkdeskError) -> Failure:
    """A refused or failed request to Talkdesk."""
    message = str(error)
    if isinstance(error, talkdesk.TokenRefused) and error.status == _FORBIDDEN:
        return Failure(Kind.REFUSED, Reason.ACCESS_BLOCKED, message, error.retry_after)
    if isinstance(error, talkdesk.TokenRefused | talkdesk.Unauthorized):
        return Failure(Kind.REFUSED, Reason.CREDENTIALS_REFUSED, message, error.retry_after, final=True)
    if isinstance(error, talkdesk.ForeignHost):
        return Failure(Kind.PERMANENT, Reason.FOREIGN_LINKS, message)
    if isinstance(error, talkdesk.UnusableInput):
        return Failure(Kind.PERMANENT, Reason.CREDENTIALS_INVALID, message)
    if error.transient or isinstance(error, talkdesk.Conflict):
        return Failure(Kind.TRANSIENT, Reason.TALKDESK_UNREACHABLE, message, error.retry_after)
    return Failure(Kind.PERMANENT, Reason.TALKDESK_REFUSES, message, error.retry_after)
