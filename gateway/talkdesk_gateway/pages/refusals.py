"""The page for each refusal: what happened, and what the reader can do about it.

Every :class:`Refusal` and every reason of ``status.access`` has a sentence of its own. None says more than
its reader may know: names of users and of other installations stay out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from talkdesk_crds.conditions import Reason
from talkdesk_gateway.pages.page import Action, Help, Page, Tone
from talkdesk_gateway.verdict import Refusal, Refused

_ADMIN = "An administrator of your Talkdesk account can see more under Apps."
_DATA = "Your data is kept."


@dataclass(frozen=True)
class Words:
    """How one refusal is told."""

    status: int
    tone: Tone
    title: str
    sentences: tuple[str, ...]


REFUSALS: Final[dict[Refusal, Words]] = {
    Refusal.SIGN_IN: Words(
        401,
        "ask",
        "Please sign in",
        ("You are not signed in here, or your session has ended.", "Signing in goes through Talkdesk."),
    ),
    Refusal.UNKNOWN_HOST: Words(
        404,
        "stop",
        "Nothing lives at this address",
        (
            "No customer's app is served here. The address may be misspelt, or the app may have moved.",
            "Open the app from Talkdesk: its icon there always leads to the right place.",
        ),
    ),
    Refusal.UNKNOWN_INSTALLATION: Words(
        404,
        "stop",
        "We do not know this installation",
        (
            "Talkdesk sent you here for an installation that has not reached us.",
            "If the app was installed a moment ago, wait a few minutes and open it from Talkdesk again.",
        ),
    ),
    Refusal.NOT_LICENSED: Words(
        403,
        "stop",
        "You have no licence for this app",
        (
            "You are signed in to Talkdesk, but your user is not among those who may use this app.",
            "An administrator of your Talkdesk account can give you access under Apps.",
        ),
    ),
    Refusal.SUSPENDED: Words(
        403, "stop", "This app is not available at present", ("Access to it is switched off.", _ADMIN)
    ),
    Refusal.CROSS_SITE: Words(
        403,
        "stop",
        "This request came from another site",
        (
            "Another website tried to act in this app on your behalf, so we stopped it. Nothing was changed.",
            "If you meant to do this, open the app from Talkdesk and do it there.",
        ),
    ),
    Refusal.NO_SERVICE: Words(
        503,
        "trouble",
        "The app is starting or being repaired",
        ("It does not answer at this moment. This usually lasts a few seconds.",),
    ),
    Refusal.UNAVAILABLE: Words(
        503,
        "trouble",
        "We cannot check your access right now",
        (
            "The service that knows who may enter does not answer, so nobody is let in for the moment.",
            "Nothing is lost. Please try again shortly.",
        ),
    ),
    Refusal.TALKDESK_UNAVAILABLE: Words(
        503,
        "trouble",
        "Talkdesk could not confirm who you are",
        ("Talkdesk does not answer our question, or not in time.", "Please try again in a moment."),
    ),
    Refusal.BAD_STEP: Words(
        400,
        "stop",
        "This sign-in cannot be completed",
        (
            "It was begun in another browser, was used already, or took too long.",
            "Nothing is wrong with your account: begin again.",
        ),
    ),
}

#: By ``status.access.reason``. Where a reason is missing here, the words of SUSPENDED stand for it.
ACCESS: Final[dict[str, Words]] = {
    Reason.INSTALLING: Words(
        403,
        "wait",
        "The app is still being set up",
        ("Your account's installation is not finished yet. This can take a few minutes.",),
    ),
    Reason.UNINSTALLED: Words(
        403,
        "stop",
        "This app was uninstalled",
        (
            "An administrator of your Talkdesk account has uninstalled it. Install it again to go on.",
            _DATA,
        ),
    ),
    Reason.SUSPENDED: Words(
        403,
        "stop",
        "This app is switched off",
        ("Its provider has suspended access for your account.", _DATA),
    ),
    Reason.TRIAL_ENDED: Words(
        403,
        "stop",
        "Your trial has ended",
        (
            "The trial period of this app is over for your account.",
            "Choose a plan to go on where you stopped. " + _DATA,
        ),
    ),
    Reason.SUPERSEDED: Words(
        403,
        "stop",
        "This is an older installation",
        (
            "The app was installed anew for your account, and that installation has taken over.",
            "Open the app from Talkdesk to get there.",
        ),
    ),
    Reason.SUSPENDED_BY_TALKDESK: Words(
        403,
        "stop",
        "Talkdesk has suspended this app",
        ("Talkdesk says that your account's installation is suspended. " + _DATA, _ADMIN),
    ),
    Reason.REVOKED_BY_TALKDESK: Words(
        403,
        "stop",
        "Talkdesk has withdrawn this app",
        ("Talkdesk says that your account's installation was revoked.", _ADMIN),
    ),
    Reason.UNKNOWN_TO_TALKDESK: Words(
        403,
        "stop",
        "Talkdesk does not know this installation",
        ("Talkdesk no longer has your account's installation of this app.", _ADMIN),
    ),
    Reason.CREDENTIALS_REFUSED: Words(
        403,
        "trouble",
        "Talkdesk does not accept our key",
        (
            "The key with which this app asks Talkdesk about your account is refused.",
            "Nobody can be let in until that is repaired.",
        ),
    ),
    Reason.CREDENTIALS_SPREADING: Words(
        403,
        "wait",
        "The app is almost ready",
        ("Talkdesk has just given this app a new key, which takes some minutes to work everywhere.",),
    ),
    Reason.CREDENTIALS_MISSING: Words(
        403,
        "trouble",
        "The app's key is missing",
        ("We have lost the key with which this app asks Talkdesk about your account.",),
    ),
    Reason.CREDENTIALS_INVALID: Words(
        403,
        "trouble",
        "The app's key is unusable",
        ("The key that Talkdesk gave this app for your account cannot be used.",),
    ),
    Reason.ACCESS_BLOCKED: Words(
        403,
        "stop",
        "Your account does not let us in",
        (
            "Your Talkdesk account only answers certain networks, and this app's is not among them.",
            "An administrator of your account can add it in Talkdesk's settings for API access.",
        ),
    ),
    Reason.REJECTED: Words(
        403,
        "stop",
        "The installation did not succeed",
        (
            "This app could not be set up for your account, and Talkdesk was told so.",
            "An administrator can install it again.",
        ),
    ),
    Reason.ENDED_BY_TALKDESK: Words(
        403,
        "stop",
        "The installation did not finish",
        (
            "Talkdesk ended it before the app was ready, because it took too long or failed.",
            "An administrator can install it again.",
        ),
    ),
}

#: Reasons that pass by themselves: a launch waits for them.
PASSING: Final = frozenset({Reason.INSTALLING, Reason.CREDENTIALS_SPREADING, Reason.NOT_CHECKED, "Unknown"})


def refusal_page(refused: Refused, *, reference: str, retry: str | None = None) -> Page:
    """The page that tells a refusal. Pure.

    :param retry: where the reader may try again; offered where that can help.
    """
    app = refused.tenancy.app if refused.tenancy is not None else refused.app
    told = words(refused)
    actions = []
    if refused.why is Refusal.SUSPENDED and refused.tenancy is not None:
        upgrade = refused.tenancy.app.spec.links.upgrade
        if refused.tenancy.refusal == Reason.TRIAL_ENDED and upgrade:
            actions.append(Action("Choose a plan", upgrade))
    if retry is not None:
        text = "Sign in" if refused.why in {Refusal.SIGN_IN, Refusal.BAD_STEP} else "Try again"
        actions.append(Action(text, retry, primary=not actions))
    return Page(
        status=told.status,
        tone=told.tone,
        title=told.title,
        sentences=told.sentences,
        actions=tuple(actions),
        help=Help.of(app),
        reference=reference,
    )


def words(refused: Refused) -> Words:
    """How ``refused`` is told, by its reason and, of access, by its reason in turn. Pure."""
    if refused.why is Refusal.SUSPENDED and refused.tenancy is not None:
        return ACCESS.get(refused.tenancy.refusal, REFUSALS[Refusal.SUSPENDED])
    return REFUSALS[refused.why]
