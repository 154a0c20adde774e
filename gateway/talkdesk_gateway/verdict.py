"""What a decision about one request comes to. Pure values; the edges carry them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.user_slice import LicensedUser
    from talkdesk_gateway.sessions import Session
    from talkdesk_gateway.tenancy import Tenancy


class Refusal(StrEnum):
    """Why a request does not pass; each is a page, a status and a label of a metric (``docs/sign-on.md``)."""

    #: No session, or it is over: a navigation goes through Talkdesk, anything else gets 401.
    SIGN_IN = "sign-in"
    #: A host that is no tenant.
    UNKNOWN_HOST = "unknown-host"
    #: An installation that nobody knows (yet).
    UNKNOWN_INSTALLATION = "unknown-installation"
    #: The user is not, or no longer, licensed for this installation.
    NOT_LICENSED = "not-licensed"
    #: ``status.access`` refuses; the page says why by its reason.
    SUSPENDED = "suspended"
    #: An unsafe request that another site caused.
    CROSS_SITE = "cross-site"
    #: The tenant's Service is missing.
    NO_SERVICE = "no-service"
    #: Nothing was heard from Kubernetes for too long, or the keys are missing.
    UNAVAILABLE = "unavailable"
    #: Talkdesk's identity host or API cannot be asked.
    TALKDESK_UNAVAILABLE = "talkdesk-unavailable"
    #: A step of the sign-in that does not fit: foreign, replayed or expired state, code, ticket or cookie.
    BAD_STEP = "bad-step"


class Passed(NamedTuple):
    """The request may go to the tenant. ``renew``: the use cookie is written anew."""

    tenancy: Tenancy
    session: Session
    user: LicensedUser
    renew: bool = False


@dataclass(frozen=True)
class Refused:
    """It may not. ``detail`` is for the log and the page's small print, never a secret.

    ``app`` is whose contact the page names where there is no tenancy.
    """

    why: Refusal
    tenancy: Tenancy | None = field(default=None, compare=False)
    detail: str = ""
    app: TalkdeskApp | None = field(default=None, compare=False)


Verdict = Passed | Refused
