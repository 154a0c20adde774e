"""One tree of exceptions for everything that can go wrong between us and Talkdesk.

An error knows what was asked (method and URL without query) and what was answered, never headers or bodies:
those hold secrets. Words of Talkdesk's are shown shortened, on one line, with known secrets blotted out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One entry of the common error's ``fields``."""

    name: str
    description: str


class TalkdeskError(Exception):
    """Base of all. ``str()`` is one line: what was asked, what came, what Talkdesk said.

    ``method``, ``url``  the request (URL without query), None where nothing was to be sent
    ``status``           HTTP status, None when there was no answer
    ``code``             Talkdesk's ``code``, or OAuth's ``error``, or SCIM's ``scimType``
    ``fields``           the common error's complaints about single fields
    ``retry_after``      seconds Talkdesk asked us to wait, None when it did not
    ``transient``        worth trying again later with the same input
    ``outcome_unknown``  a change was asked for and may or may not have happened: read before repeating
    """

    transient: bool = False

    def __init__(
        self,
        message: str,
        *,
        method: str | None = None,
        url: str | None = None,
        status: int | None = None,
        code: str | None = None,
        fields: tuple[FieldProblem, ...] = (),
        retry_after: float | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.url = url
        self.status = status
        self.code = code
        self.fields = fields
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown


class TransportError(TalkdeskError):
    """No (whole) answer: connection, TLS, proxy or time. ``outcome_unknown`` tells whether a change may have
    been made; it is False where the request demonstrably never left."""

    transient = True


class Unauthorized(TalkdeskError):  # noqa: N818 # the name says it all
    """401 to a bearer token, also to one fetched anew."""


class Forbidden(TalkdeskError):  # noqa: N818 # the name says it all
    """403: a missing scope, another installation's resource, or the customer's IP restriction."""


class NotFound(TalkdeskError):  # noqa: N818 # the name says it all
    """404."""


class Conflict(TalkdeskError):  # noqa: N818 # the name says it all
    """409 (for answers to a transition also 422): read the installation and compare."""


class BadRequest(TalkdeskError):  # noqa: N818 # the name says it all
    """Any other 4xx: what was asked is not accepted and will not be."""


class NoUser(BadRequest):
    """400 of userinfo: the token is no user's (one of the client's own, or the user is gone)."""


class RateLimited(TalkdeskError):  # noqa: N818 # the name says it all
    """429; see ``retry_after``."""

    transient = True


class ServerError(TalkdeskError):
    """5xx; for anything but a read ``outcome_unknown`` is set."""

    transient = True


class UnexpectedAnswer(TalkdeskError):  # noqa: N818 # the name says it all
    """Not what the API promises: a redirect (never followed), no JSON, a missing field, an endless list."""

    transient = True


class TokenRefused(TalkdeskError):  # noqa: N818 # the name says it all
    """The token endpoint's 400, 401 or 403; ``code`` is OAuth's ``error``.

    A scope newly given to a client takes some minutes to spread and is answered like this until then.
    """


class UnusableInput(TalkdeskError):  # noqa: N818 # the name says it all
    """What the client was given cannot be used (an id that is no path segment); nothing was sent."""


class UnusableCredentials(UnusableInput):
    """The credentials lack what the chosen authentication needs, or their key does not load."""


class ForeignHost(TalkdeskError):  # noqa: N818 # the name says it all
    """A link that is not of the app's host table; nothing was sent."""
