"""What a page says, as a value: the words stand in the modules beside it, not in a template."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp

#: No letters and digits that people mistake for one another when they read it out.
_LEGIBLE: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

Tone = Literal["wait", "stop", "trouble", "ask", "done"]


@dataclass(frozen=True)
class Action:
    """A link that looks like a button; ``aside`` opens it in another tab, and keeps the page."""

    text: str
    href: str
    primary: bool = True
    aside: bool = False


@dataclass(frozen=True)
class Wait:
    """The page asks ``url`` again until the answer is neither 202 nor 5xx, and then goes there.

    ``waited`` is how many seconds the browser has waited already; ``every`` the pause between two questions.
    Once ``patience`` seconds were waited it goes there for a 5xx, too.
    """

    url: str
    waited: int
    patience: int
    every: float = 1.0


@dataclass(frozen=True)
class Help:
    """Whom to ask: the app's e-mail address and its support page, as far as it names them."""

    contact: str | None = None
    support: str | None = None

    @classmethod
    def of(cls, app: TalkdeskApp | None) -> Help:
        """What ``app`` names."""
        return cls() if app is None else cls(app.spec.contact, app.spec.links.support)


@dataclass(frozen=True)
class Page:
    """One page. ``sentences`` are paragraphs, the first of them the most important.

    ``reference`` is what a person quotes and the log has beside the reason; None where nothing went wrong.
    ``form`` is the text of a button that posts to this very page.
    """

    status: int
    tone: Tone
    title: str
    sentences: tuple[str, ...]
    actions: tuple[Action, ...] = ()
    form: str | None = None
    wait: Wait | None = None
    help: Help = Help()
    reference: str | None = None


def new_reference() -> str:
    """A fresh reference id: ``XXXX-XXXX``, of letters and digits that nobody confuses."""
    drawn = "".join(secrets.choice(_LEGIBLE) for _ in range(8))
    return f"{drawn[:4]}-{drawn[4:]}"
