"""What the API server may answer instead of what was asked, as one exception tree with its typed Status.

Mirrors ``metav1.Status`` (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/).
No error carries the request's body. The server's own message may quote rejected values, so for Secrets it is
withheld and only the field paths remain.
"""
# ruff: noqa: N818 -- the classes bear the names of the API's own reasons

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

WITHHELD = "(message withheld: it may quote the Secret)"


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of a refusal: ``field`` is a path such as ``spec.replicas``, empty where none applies."""

    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Status:
    """``metav1.Status``: HTTP code (0: there was no answer), CamelCase reason, message, causes.

    ``retry_after`` is in seconds, None where the server named none.
    """

    code: int
    reason: str
    message: str
    causes: tuple[Cause, ...] = ()
    retry_after: float | None = None


class KubeError(Exception):
    """A request that did not do what was asked.

    :ivar transient: whether the same request may succeed later without anybody changing anything.
    :ivar retry_after: seconds the server asked to wait, None where it did not say.
    """

    def __init__(self, status: Status, method: str, path: str) -> None:
        self.status = status
        self.method = method
        self.path = path
        super().__init__(status, method, path)

    @property
    def transient(self) -> bool:
        """False: the request itself, or what it meets, has to change first."""
        return False

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asked to wait."""
        return self.status.retry_after

    def __str__(self) -> str:
        status = self.status
        code = f"{status.code} " if status.code else ""
        message = " ".join(status.message.split())
        fields = ", ".join(cause.field for cause in status.causes if cause.field)
        where = f" [{fields}]" if fields and message == WITHHELD else ""
        return f"{self.method} {self.path}: {code}{status.reason}: {message}{where}"


class NotFound(KubeError):
    """404: no such object, or a kind the server does not serve."""


class AlreadyExists(KubeError):
    """409 on create: an object of this name is there."""


class Conflict(KubeError):
    """409 otherwise: changed since it was read, another uid, or a field another manager owns."""

    @property
    def transient(self) -> bool:
        """Whoever reads again and repeats will get further."""
        return True


class Unauthorized(KubeError):
    """401: the credentials were refused, also after they had been read again."""

    @property
    def transient(self) -> bool:
        """A projected token may be replaced any moment."""
        return True


class Forbidden(KubeError):
    """403: no right to it, a quota, or a namespace on its way out."""

    @property
    def namespace_terminating(self) -> bool:
        """Whether the namespace is being deleted, so that nothing can be made in it for now."""
        return any(cause.reason == "NamespaceTerminating" for cause in self.status.causes)

    @property
    def quota_exceeded(self) -> bool:
        """Whether a ResourceQuota refuses it. Only the message tells."""
        return "exceeded quota: " in self.status.message

    @property
    def transient(self) -> bool:
        """Only a terminating namespace goes away by itself."""
        return self.namespace_terminating


class Invalid(KubeError):
    """422: schema, CEL or an admission policy refuses the object; ``status.causes`` has the field paths."""


class Gone(KubeError):
    """410: the resourceVersion or the continue token is too old; list again."""

    @property
    def transient(self) -> bool:
        """After a new list, yes."""
        return True


class TooManyRequests(KubeError):
    """429: the server's fairness or a disruption budget says later."""

    @property
    def transient(self) -> bool:
        """By its nature."""
        return True


class ServerError(KubeError):
    """5xx, or an answer that is no JSON. A write may have happened all the same."""

    @property
    def transient(self) -> bool:
        """By its nature."""
        return True


class Unreachable(KubeError):
    """No answer: connection refused or cut, time-out. The outcome of a write is unknown."""

    @property
    def transient(self) -> bool:
        """By its nature."""
        return True


_BY_CODE: dict[int, type[KubeError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def _seconds(text: str | None) -> float | None:
    # Kubernetes sends whole seconds only; an HTTP date, from a proxy in between, is left unread.
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def parse_status(code: int, body: bytes | Mapping[str, Any], *, retry_after: str | None = None) -> Status:
    """The Status of an answer; whatever a proxy in between made of it.

    :param code: HTTP status code.
    :param body: the answer's body, as bytes or decoded.
    :param retry_after: value of the ``Retry-After`` header.
    """
    document: Any = body
    if isinstance(body, bytes):
        try:
            document = json.loads(body)
        except ValueError:
            document = None
    if not isinstance(document, Mapping) or document.get("kind") != "Status":
        text = body[:200].decode(errors="replace").strip() if isinstance(body, bytes) else ""
        return Status(code, "Unknown", text or "no message", retry_after=_seconds(retry_after))
    details = document.get("details") or {}
    wait = _seconds(retry_after)
    if wait is None and details.get("retryAfterSeconds"):
        wait = float(details["retryAfterSeconds"])
    causes = tuple(
        Cause(str(one.get("field", "")), str(one.get("reason", "")), str(one.get("message", "")))
        for one in details.get("causes") or ()
    )
    return Status(
        code=int(document.get("code") or code),
        reason=str(document.get("reason") or "Unknown"),
        message=str(document.get("message") or "no message"),
        causes=causes,
        retry_after=wait,
    )


def error_of(status: Status, *, method: str, path: str) -> KubeError:
    """The exception for a Status. What concerns Secrets loses its message, which may quote their content."""
    if "/secrets" in path and status.code in {400, 422, 500}:
        causes = tuple(replace(cause, message="") for cause in status.causes)
        status = replace(status, message=WITHHELD, causes=causes)
    kind = _BY_CODE.get(status.code)
    if kind is None:
        kind = ServerError if status.code >= 500 else KubeError
    if status.reason == "AlreadyExists":
        kind = AlreadyExists
    return kind(status, method, path)
