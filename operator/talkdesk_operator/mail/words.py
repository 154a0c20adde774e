"""What the default mails say: a subject, a headline, what happened and what to do next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_operator.mail.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Words:
    """In the customer's language; each is one paragraph."""

    subject: str
    headline: str
    happened: str
    next: str


@dataclass(frozen=True)
class About:
    """What the words hang on."""

    app: str
    company: str
    reason: str | None = None
    #: Until when the data is kept, e.g. ``2026-12-29 14:05 UTC``; None where it is not kept.
    kept_until: str | None = None


def words(outcome: Outcome, about: About) -> Words:
    """The words for ``outcome``."""
    return _WORDS[outcome](about)


def _installed(about: About) -> Words:
    return Words(
        subject=f"{about.app} is ready for {about.company}",
        headline=f"{about.app} is ready",
        happened=f"The installation for {about.company} is complete, and everybody with a licence can use "
        f"{about.app} from now on.",
        next=f"Open {about.app} from its icon in Talkdesk; nobody needs another password. You give licences "
        "to more people in Talkdesk AppConnect.",
    )


def _install_failed(about: About) -> Words:
    return Words(
        subject=f"{about.app} could not be installed for {about.company}",
        headline="The installation was not completed",
        happened=about.reason or f"{about.app} could not be set up for {about.company}.",
        next=f"Nobody has access to {about.app} yet. You can install it again in Talkdesk AppConnect.",
    )


def _updated(about: About) -> Words:
    return Words(
        subject=f"Your changes to {about.app} are in effect",
        headline="Your changes are in effect",
        happened=f"Users and plan of {about.app} for {about.company} are now as you set them in Talkdesk.",
        next="There is nothing more to do: who was given a licence opens the app from its icon in Talkdesk.",
    )


def _update_failed(about: About) -> Words:
    return Words(
        subject=f"Your changes to {about.app} were not applied",
        headline="Your changes were not applied",
        happened=about.reason or f"{about.app} could not be changed over to your new settings.",
        next=f"{about.app} goes on with the settings from before. You can repeat the change in Talkdesk "
        "AppConnect.",
    )


def _uninstalled(about: About) -> Words:
    kept = (
        f"Your data is kept until {about.kept_until}: install {about.app} again before that, and all of it "
        "is there. After that it is deleted."
        if about.kept_until is not None
        else f"Your data is deleted. You can install {about.app} again at any time, and begin anew."
    )
    return Words(
        subject=f"{about.app} was uninstalled for {about.company}",
        headline=f"{about.app} was uninstalled",
        happened=f"Nobody of {about.company} has access to {about.app} any more.",
        next=kept,
    )


def _uninstall_failed(about: About) -> Words:
    return Words(
        subject=f"{about.app} could not be uninstalled for {about.company}",
        headline="The uninstallation was not completed",
        happened=about.reason or f"{about.app} could not be uninstalled for {about.company}.",
        next="Nobody has access any more in any case. Please uninstall it once more in Talkdesk AppConnect.",
    )


_WORDS: dict[Outcome, Callable[[About], Words]] = {
    Outcome.INSTALLED: _installed,
    Outcome.INSTALL_FAILED: _install_failed,
    Outcome.UPDATED: _updated,
    Outcome.UPDATE_FAILED: _update_failed,
    Outcome.UNINSTALLED: _uninstalled,
    Outcome.UNINSTALL_FAILED: _uninstall_failed,
}
