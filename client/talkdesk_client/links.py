"""Which of an event's links is which: Talkdesk's pages do not agree on the name of the token link."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names of the token link, likeliest first. Undocumented; two pages use different words for it.
TOKEN_LINKS = ("tokens", "token", "token_url")


def token_url(links: Mapping[str, str]) -> str:
    """The account's token endpoint from ``links`` (name → href).

    The first of ``tokens``, ``token``, ``token_url``; else ``authorization`` with a path that ends in
    ``/authorize``, where ``/token`` stands instead. KeyError when there is neither. The result is not checked
    here: the client checks it against the host table where it is used.
    """
    for name in TOKEN_LINKS:
        if links.get(name):
            return links[name]
    authorization = links.get("authorization", "")
    bare = authorization.partition("?")[0].partition("#")[0].rstrip("/")
    if bare.endswith("/authorize"):
        return f"{bare.removesuffix('/authorize')}/token"
    raise KeyError("tokens")
