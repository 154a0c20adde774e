"""Links arrive in events; here they are held against the app's host table before anything is sent to them.

What is checked is the parsed URL that is then requested, so that no second parser can read it differently.
"""

from __future__ import annotations

import contextlib
import re
from typing import Annotated
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, StringConstraints

from talkdesk_client.errors import ForeignHost, UnusableInput

HostName = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=253)
]

_HTTPS = frozenset({"https"})
_LETTERS = re.compile(r"[a-z0-9.-]+")
_MAX_LINK = 2048
_MAX_SEGMENT = 256
_PLAIN = re.compile(r"[!-\[\]-~]+")  # printable ASCII without blank and backslash


class Hosts(BaseModel):
    """Talkdesk's hosts in one region: one row of the app's host table.

    ``api`` is the API gateway's host (``api.talkdeskapp.eu``), matched exactly; ``identity`` is the domain
    under which each account has its identity host (``talkdeskid.eu`` for ``acme.talkdeskid.eu``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    api: HostName
    identity: HostName

    def api_url(self, link: str, *, seen_at: httpx.URL | None = None) -> httpx.URL:
        """``link`` as a URL of the API gateway. ForeignHost when it is anything else.

        A relative ``link`` is one only with ``seen_at``, the URL whose answer held it.
        """
        url = _checked_url(link, what="API link", seen_at=seen_at)
        if _host(url) != self.api:
            raise _foreign(link, f"its host is not the API gateway {self.api} of the app's host table")
        return url

    def root_url(self, link: str) -> httpx.URL:
        """``link`` as the base of API URLs: an :meth:`api_url` without query. ForeignHost."""
        url = self.api_url(link)
        if url.query:
            raise _foreign(link, "a base URL with a query")
        return url

    def identity_url(self, link: str) -> httpx.URL:
        """``link`` as a URL of an account's identity host. ForeignHost when it is anything else."""
        url = _checked_url(link, what="token link")
        self._check_identity(link, url)
        return url

    def authorization_url(self, link: str) -> httpx.URL:
        """``link`` as the page of an account's identity host where users sign on. ForeignHost.

        A browser follows it, so plain http and any port are taken where the identity domain is under
        ``.localhost``: that never leaves the machine.
        """
        local = self.identity == "localhost" or self.identity.endswith(".localhost")
        url = _checked_url(
            link,
            what="authorization link",
            any_port=local,
            schemes=frozenset({"https", "http"}) if local else _HTTPS,
        )
        self._check_identity(link, url)
        if not _LETTERS.fullmatch(_host(url)):  # a browser might read it differently
            raise _foreign(link, "its host has other characters than letters, digits, hyphens and dots")
        return url

    def _check_identity(self, link: str, url: httpx.URL) -> None:
        if not _host(url).endswith(f".{self.identity}"):
            raise _foreign(link, f"its host is not under {self.identity} of the app's host table")


def under(base: httpx.URL, *segments: str) -> httpx.URL:
    """``base`` with path ``segments`` appended, each quoted. UnusableInput for what cannot be one."""
    below = "".join(f"/{_segment(segment)}" for segment in segments)
    return base.copy_with(raw_path=base.raw_path.rstrip(b"/") + below.encode())


def _segment(identifier: str) -> str:
    quoted = ""
    with contextlib.suppress(UnicodeEncodeError):
        quoted = quote(identifier, safe="")
    if not quoted or identifier in {".", ".."} or len(identifier) > _MAX_SEGMENT:
        raise UnusableInput(f"id {identifier[:64]!a} cannot stand in a URL; nothing was sent")
    return quoted


def gateway_url(gateway: str) -> httpx.URL:
    """A configured gateway's base URL: a person chose its host. ForeignHost unless https."""
    return _checked_url(gateway, what="gateway", any_port=True)


def _checked_url(
    link: str,
    *,
    what: str,
    any_port: bool = False,
    schemes: frozenset[str] = _HTTPS,
    seen_at: httpx.URL | None = None,
) -> httpx.URL:
    if not link or len(link) > _MAX_LINK or not _PLAIN.fullmatch(link):
        raise _foreign(link, f"the {what} is not a URL of at most {_MAX_LINK} printable ASCII characters")
    url: httpx.URL | None = None
    with contextlib.suppress(httpx.InvalidURL):  # its words may hold what the link hides
        url = seen_at.join(link) if seen_at else httpx.URL(link)
    if url is None or not url.host:
        raise _foreign(link, f"the {what} is not a URL")
    if url.scheme not in schemes:
        raise _foreign(link, "it is not https")
    if url.userinfo or "@" in re.split(r"[/?#]", link.partition("//")[2], maxsplit=1)[0]:
        raise _foreign(link, "it carries a user name or password")
    if not any_port and url.port not in (None, 443):
        raise _foreign(link, "it names a port other than 443")
    if url.fragment:
        raise _foreign(link, "it carries a fragment")
    return url


def _host(url: httpx.URL) -> str:
    """The host as it is dialled (punycode stays punycode)."""
    return url.raw_host.decode("ascii").lower()


def _foreign(link: str, why: str) -> ForeignHost:
    return ForeignHost(f"link {_shown(link)} is not followed: {why}; nothing was sent")


def _shown(link: str) -> str:
    """Scheme and host of ``link`` for people: neither user info nor path nor query, bounded, one line."""
    scheme, found, rest = link.partition("://")
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2] if found else ""
    return ascii(f"{scheme[:16]}://{authority[:100]}") if found else ascii(link[:24])
