"""Whom a mail goes to: the admin who installed the app, else the account's own address, else nobody. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_operator.mail.one_line import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from talkdesk_operator.entries import Entry
    from talkdesk_operator.tenant.facts import AccountFacts

_LOCAL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
_DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
_ADDRESS = re.compile(rf"({_LOCAL})@({_DOMAIN})\Z")


@dataclass(frozen=True)
class Recipient:
    """``address`` is a plain ASCII address that no header or command can be broken with."""

    address: str
    name: str | None = None


def recipient(users: Iterable[Entry], account: AccountFacts) -> Recipient | None:
    """The licensed user who is the installing admin; without one that can be written to, the account."""
    for user in users:
        if user.admin and (address := usable(user.email)) is not None:
            return Recipient(address, one_line(user.name, limit=128) if user.name else None)
    address = usable(account.email)
    name = account.company_name or account.name
    return Recipient(address, one_line(name, limit=128) if name else None) if address is not None else None


def usable(text: str | None) -> str | None:
    """``text`` as an address, its domain in ASCII; None where it is none that we would write to."""
    local, at, domain = (text or "").strip().rpartition("@")
    if not at:
        return None
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    address = f"{local}@{domain}"
    fits = len(address) <= 254 and _ADDRESS.match(address) is not None
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    return address if fits and not dots else None
