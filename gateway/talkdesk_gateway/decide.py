"""What becomes of one request: a function of what the watches show, the session, and the clock. Pure.

The order is part of the policy. What holds for everybody comes before the question of who it is; nobody is
sent to Talkdesk for a tenant that would refuse them anyway, and nothing that another site caused is looked at
any further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from talkdesk_gateway.sessions import no_longer, renewal_due
from talkdesk_gateway.verdict import Passed, Refusal, Refused, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from talkdesk_gateway.sessions import Session
    from talkdesk_gateway.tenancy import Tenancy

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: What ``Sec-Fetch-Site`` says of a request that no other site caused.
_OWN: Final = frozenset({"same-origin", "none"})


class Facts(NamedTuple):
    """What is read of a request. ``host`` is lower case and without port; ``path`` includes the query.

    ``origin``, ``fetch_site`` and ``fetch_mode`` are the headers' texts, None where they are missing. Of a
    header that came twice both texts stand there, joined by a comma: they equal nothing that is allowed.
    """

    method: str
    host: str
    path: str = "/"
    origin: str | None = None
    fetch_site: str | None = None
    fetch_mode: str | None = None
    accept: str = ""
    upgrade: bool = False

    @property
    def is_navigation(self) -> bool:
        """A browser opens a page by it: it may be sent elsewhere without anything being lost."""
        if self.method not in {"GET", "HEAD"} or self.upgrade:
            return False
        if self.fetch_mode is not None or self.fetch_site is not None:
            return self.fetch_mode == "navigate"
        return "text/html" in self.accept.lower()


def decide(
    tenancy: Tenancy | None, session: Session | None, facts: Facts, *, now: datetime, fresh: bool, origin: str
) -> Verdict:
    """Whether the request may go to the tenant.

    :param session: what the cookies opened to, whoever's it is; None where they opened to nothing.
    :param fresh: what the watches show may be relied on.
    :param origin: the tenant's own origin, as a browser writes it.
    """
    if not fresh:
        return Refused(Refusal.UNAVAILABLE, tenancy, "nothing was heard from Kubernetes for too long")
    if tenancy is None:
        return Refused(Refusal.UNKNOWN_HOST)
    if foreign := cross_site(facts, origin=origin):
        return Refused(Refusal.CROSS_SITE, tenancy, foreign)
    if not tenancy.allowed:
        return Refused(Refusal.SUSPENDED, tenancy, tenancy.refusal)
    return _of_user(tenancy, session, now)


def _of_user(tenancy: Tenancy, session: Session | None, now: datetime) -> Verdict:
    why = no_longer(session, tenancy, now) if session is not None else "no session"
    if session is None or why:
        return Refused(Refusal.SIGN_IN, tenancy, why)
    user = tenancy.user(session.user)
    if user is None and not tenancy.users_known:
        return Refused(Refusal.UNAVAILABLE, tenancy, "the licensed users are not known yet")
    if user is None:
        return Refused(Refusal.NOT_LICENSED, tenancy, "not among the licensed users")
    if user.epoch != session.epoch:
        return Refused(Refusal.SIGN_IN, tenancy, "signed out, or licensed anew")
    if tenancy.upstream is None:
        return Refused(Refusal.NO_SERVICE, tenancy, "the tenant's Service is missing")
    return Passed(tenancy, session, user, renew=renewal_due(session, tenancy.app.spec.session, now))


def cross_site(facts: Facts, *, origin: str) -> str:
    """Why another site counts as the cause of a request that may change something; "" where none does.

    Sibling tenants are the same *site*, so only the same origin will do. An upgrade is a GET, and opens what
    a POST could. Whatever sends neither header is no browser, and carries no browser's cookies.

    ``Origin: null`` stands for many origins: pages under ``no-referrer`` send it of their own forms, and so
    do sandboxed frames. ``Sec-Fetch-Site``, which no script can set, tells them apart: of the latter it says
    ``cross-site``. With an upgrade the origin itself is there, whatever the policy.
    """
    if facts.method in SAFE_METHODS and not facts.upgrade:
        return ""
    if facts.origin == "null" and facts.fetch_site == "same-origin" and not facts.upgrade:
        return ""
    if facts.origin is not None:
        return "" if facts.origin == origin else "foreign Origin"
    if facts.upgrade:
        return "an upgrade without Origin"
    if facts.fetch_site is not None and facts.fetch_site not in _OWN:
        return "foreign Sec-Fetch-Site"
    return ""
