"""An answer that is no success becomes the exception it stands for.

Talkdesk has four shapes of error bodies, and says the status anyway, so the status decides the kind and the
body only adds words: the common ``{code, message, description?, fields?}``, the Apps API's ``{error}``,
OAuth's ``{error, error_description}``, and SCIM's ``{schemas, status, detail, scimType?}``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from talkdesk_client.decoding import loads
from talkdesk_client.errors import (
    BadRequest,
    Conflict,
    FieldProblem,
    Forbidden,
    NotFound,
    RateLimited,
    ServerError,
    TalkdeskError,
    TokenRefused,
    Unauthorized,
    UnexpectedAnswer,
)
from talkdesk_client.retry import retry_after_seconds

if TYPE_CHECKING:
    from pydantic import SecretStr

    from talkdesk_client.wire import Answer

_BY_STATUS: dict[int, type[TalkdeskError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
_MAX_WORDS = 300
_MAX_FIELDS = 20
#: What looks like a credential whoever sent it: JWTs, bearer and basic headers, PEM bodies, long Base64.
_LOOKS_SECRET = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?i:\b(?:bearer|basic)\s+[\w.~+/=-]{8,})|-----BEGIN [A-Z ]*PRIVATE KEY.*"
    r"|[A-Za-z0-9+/=_-]{64,}",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error body says, whichever its shape; everything may be missing."""

    code: str | None = None
    words: str | None = None
    fields: tuple[FieldProblem, ...] = ()


def problem_of(body: bytes) -> Problem:
    """Reads any of the four shapes; an empty :class:`Problem` for anything else."""
    try:
        value = loads(body) if body else None
    except (ValueError, RecursionError):
        return Problem()
    if not isinstance(value, Mapping):
        return Problem()
    if "error" in value:  # OAuth's when there is a description, else the Apps API's, whose only word it is
        described = _text(value, "error_description")
        error = value["error"]
        if isinstance(error, Mapping):
            return Problem(_text(error, "code"), _text(error, "message", "description"))
        return Problem(_text(value, "error"), described)
    if "scimType" in value or "detail" in value:
        return Problem(_text(value, "scimType"), _text(value, "detail"))
    return Problem(_text(value, "code"), _text(value, "message", "description"), _fields(value.get("fields")))


def refusal(
    answer: Answer,
    *,
    means: Mapping[int, type[TalkdeskError]] | None = None,
    at_token_endpoint: bool = False,
    secrets: Iterable[SecretStr] = (),
    now: float,
) -> TalkdeskError:
    """The exception for ``answer``, which is no 2xx.

    ``means``    what statuses mean here that elsewhere mean less
    ``now``      seconds since 1970, for Retry-After as a date
    ``secrets``  what must not be shown even if the answer repeats it
    """
    status = answer.status
    kind = _kind(status, means=means or {}, at_token_endpoint=at_token_endpoint)
    blot = Blot(secrets)
    problem = problem_of(answer.body)
    code = blot(problem.code) if problem.code else None
    said = [code, blot(problem.words) if problem.words else None]
    fields = tuple(FieldProblem(blot(field.name), blot(field.description)) for field in problem.fields)
    said += [f"{field.name}: {field.description}" for field in fields[:3]]
    words = "; ".join(word for word in said if word) or "no explanation"
    if 300 <= status < 400:
        words = "a redirect, and redirects are never followed"
    return kind(
        f"{answer.method} {answer.url} was answered {status}{_phrase(status)}: {words}",
        method=answer.method,
        url=answer.url,
        status=status,
        code=code,
        fields=fields,
        retry_after=retry_after_seconds(answer.headers.get("Retry-After"), now=now),
        outcome_unknown=answer.is_change and kind in (ServerError, UnexpectedAnswer),
    )


def _kind(
    status: int, *, means: Mapping[int, type[TalkdeskError]], at_token_endpoint: bool
) -> type[TalkdeskError]:
    if at_token_endpoint and 400 <= status < 500 and status != 429:
        return (
            TokenRefused  # also its 404: that the token endpoint is missing does not mean the installation is
        )
    if status in means:
        return means[status]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return BadRequest
    return ServerError if status >= 500 else UnexpectedAnswer


class Blot:
    """Makes foreign words fit for a log: one short line, what is or looks secret blotted out."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        self._secrets = tuple(secrets)

    def __call__(self, words: str) -> str:
        for secret in self._secrets:
            for form in _forms(secret):
                words = words.replace(form, "[secret]")
        words = _LOOKS_SECRET.sub("[secret]", words)
        words = " ".join("".join(c if c.isprintable() else " " for c in words).split())
        return words if len(words) <= _MAX_WORDS else f"{words[: _MAX_WORDS - 1]}…"


def _forms(secret: SecretStr) -> set[str]:
    """The ways in which an answer may repeat a secret that we sent."""
    plain = secret.get_secret_value()
    return {plain, quote(plain, safe=""), quote_plus(plain), base64.b64encode(plain.encode()).decode()} - {""}


def _text(value: Mapping[str, Any], *names: str) -> str | None:
    """The first of ``names`` with a string or a number in it."""
    for name in names:
        found = value.get(name)
        if isinstance(found, str | int | float) and not isinstance(found, bool) and found != "":
            return str(found)
    return None


def _fields(value: object) -> tuple[FieldProblem, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(
        FieldProblem(_text(item, "name") or "?", _text(item, "description", "message") or "")
        for item in value[:_MAX_FIELDS]
        if isinstance(item, Mapping)
    )


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
