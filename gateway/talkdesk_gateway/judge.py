"""Between a request's headers and the decision: what is read of them, and the session that they prove.

Opening a cookie is a function of the cookie and the keys, and costs more than all the rest: what it gave is
kept for a moment. What is decided is not kept.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from multidict import istr

from talkdesk_gateway import cookies, sessions
from talkdesk_gateway.decide import Facts, decide
from talkdesk_gateway.verdict import Refusal, Refused, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multidict import CIMultiDict, CIMultiDictProxy

    from talkdesk_crds.key_ring import Key
    from talkdesk_gateway.seams import Directory, Keys
    from talkdesk_gateway.sessions import Session

    Headers = CIMultiDict[str] | CIMultiDictProxy[str]

#: How many sessions, and for how long (seconds): their seals end on time, give or take this.
_KEPT: Final = 4096
_KEPT_SECONDS: Final = 30.0
#: Cookie headers up to this length are remembered as they were read, for a browser sends the same again.
_SHORT: Final = 4096

# Headers are found faster by names of this type: they are read at every request.
_HOST: Final = istr("Host")
_ORIGIN: Final = istr("Origin")
_FETCH_SITE: Final = istr("Sec-Fetch-Site")
_FETCH_MODE: Final = istr("Sec-Fetch-Mode")
_ACCEPT: Final = istr("Accept")
_COOKIE: Final = istr("Cookie")


def facts_of(method: str, path: str, headers: Headers, *, upgrade: bool = False) -> Facts:
    """What deciding needs of a request. Pure."""
    return Facts(
        method=method,
        host=(_text(headers, _HOST) or "").partition(":")[0].lower(),
        path=path,
        origin=_text(headers, _ORIGIN),
        fetch_site=_text(headers, _FETCH_SITE),
        fetch_mode=_text(headers, _FETCH_MODE),
        accept=_text(headers, _ACCEPT) or "",
        upgrade=upgrade,
    )


def _text(headers: Headers, name: str) -> str | None:
    # Several are joined, as Envoy does it, and equal nothing that is allowed.
    several = headers.getall(name, ())
    if len(several) == 1:
        return several[0]
    return ", ".join(several) if several else None


def cookies_of(headers: Headers) -> tuple[dict[str, str], str | None]:
    """Our cookies, and the ``Cookie`` header for the tenant. Pure."""
    several = tuple(headers.getall(_COOKIE, ()))
    if sum(map(len, several)) <= _SHORT:
        return _parsed(several)
    return cookies.ours(several), cookies.without_ours(several)


@lru_cache(maxsize=2048)
def _parsed(several: tuple[str, ...]) -> tuple[dict[str, str], str | None]:
    return cookies.ours(several), cookies.without_ours(several)


@dataclass
class Judge:
    """Decides by what is watched at the very moment.

    :ivar origin: a host's origin as browsers write it.
    """

    directory: Directory
    keys: Keys
    origin: Callable[[str], str]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _opened: OrderedDict[tuple[str, str, str], tuple[float, Session]] = field(default_factory=OrderedDict)
    _opened_with: tuple[Key, ...] = ()

    def verdict(self, facts: Facts, ours: Mapping[str, str]) -> tuple[Verdict, Session | None]:
        """What becomes of the request with our cookies ``ours``, and whose session it came with."""
        session = self.session(facts.host, ours)
        return self.again(facts, session), session

    def again(self, facts: Facts, session: Session | None) -> Verdict:
        """The same question at this moment, for what lasts longer than a request."""
        found = decide(
            self.directory.by_host(facts.host),
            session,
            facts,
            now=self.clock(),
            fresh=self.directory.fresh,
            origin=self.origin(facts.host),
        )
        if not isinstance(found, Refused):
            return found
        if found.tenancy is None:
            return replace(found, app=self.directory.app_of(facts.host))
        if found.why is Refusal.SIGN_IN and not self.keys.session_keys():
            return Refused(Refusal.UNAVAILABLE, found.tenancy, "there are no session keys")
        return found

    def session(self, host: str, ours: Mapping[str, str]) -> Session | None:
        """The session that our cookies prove at ``host``."""
        sealed = ours.get(sessions.SESSION_COOKIE)
        if sealed is None:
            return None
        now, keys = self.clock(), self.keys.session_keys()
        if keys is not self._opened_with:
            # Whoever takes the keys away signs everybody out.
            self._opened.clear()
            self._opened_with = keys
        index = (host, sealed, ours.get(sessions.USE_COOKIE, ""))
        known = self._opened.get(index)
        if known is not None and 0 <= now.timestamp() - known[0] < _KEPT_SECONDS:
            return known[1]
        session = sessions.read(ours, host=host, keys=keys, now=now)
        if session is not None:
            self._opened.pop(index, None)  # so that it counts as the newest
            self._opened[index] = (now.timestamp(), session)
            if len(self._opened) > _KEPT:
                self._opened.popitem(last=False)
        return session
