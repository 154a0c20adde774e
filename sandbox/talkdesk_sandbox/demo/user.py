"""A user as the gateway's token tells of them, and where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The header with the token.
HEADER = "x-td-identity"


class NotSignedIn(Exception):  # noqa: N818 - named after what it says
    """The request carries no token, or one that is not good here."""


class KeysUnavailable(Exception):  # noqa: N818 - named after what it says
    """The key set cannot be read: nobody's token can be checked."""


@dataclass(frozen=True)
class User:
    """A user of Talkdesk's; ``role`` is the app's. ``id`` stays, name and e-mail may change."""

    id: str
    name: str
    email: str
    role: str
    plan: str

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> User:
        """From the claims of a checked token."""
        name, email = str(claims.get("name") or "").strip(), str(claims.get("email") or "")
        return cls(
            id=str(claims["sub"]),
            name=name or email or str(claims["sub"]),
            email=email,
            role=str(claims.get("role") or ""),
            plan=str(claims.get("plan") or ""),
        )

    @property
    def first_name(self) -> str:
        """What one says to somebody."""
        return self.name.split()[0]

    @property
    def initials(self) -> str:
        """Two letters for a picture."""
        words = self.name.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()
