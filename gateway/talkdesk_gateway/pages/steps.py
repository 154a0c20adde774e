"""The pages of the sign-in that are no refusals: waiting, another user than launched, signing out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_gateway.pages.page import Action, Help, Page, Wait

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp


def waiting(*, known: bool, wait: Wait, app: TalkdeskApp | None) -> Page:
    """The installation is not ready, or has not reached us: the page goes on by itself."""
    first = (
        "Your account's installation is being prepared."
        if known
        else "We are waiting for Talkdesk to tell us about your account's installation."
    )
    return Page(
        status=202,
        tone="wait",
        title="Setting up your app",
        sentences=(first, "This page goes on by itself as soon as it is ready."),
        wait=wait,
        help=Help.of(app),
    )


def gave_up(*, retry: str, app: TalkdeskApp, reference: str) -> Page:
    """A known installation that did not get ready while its page waited."""
    return Page(
        status=503,
        tone="trouble",
        title="The app is still being set up",
        sentences=(
            "Preparing it for your account takes longer than usual. It goes on without you.",
            "Come back later, or try again now.",
        ),
        actions=(Action("Try again", retry),),
        help=Help.of(app),
        reference=reference,
    )


def continue_as(
    name: str, *, proceed: str, switch: str | None, retry: str, app: TalkdeskApp, reference: str
) -> Page:
    """Talkdesk launched the app for another user than the one who is signed in there, who is licensed too."""
    return Page(
        status=200,
        tone="ask",
        title=f"Continue as {name}?",
        sentences=(
            f"The app was opened for another user, but this browser is signed in to Talkdesk as {name}.",
        ),
        actions=(Action(f"Continue as {name}", proceed), *_switching(switch, retry)),
        help=Help.of(app),
        reference=reference,
    )


def wrong_user(name: str, *, switch: str | None, retry: str, app: TalkdeskApp, reference: str) -> Page:
    """The user who is signed in at Talkdesk is another than launched, and not licensed."""
    return Page(
        status=403,
        tone="stop",
        title="You are signed in to Talkdesk as another user",
        sentences=(
            f"The app was opened for another user, but this browser is signed in to Talkdesk as {name}.",
            f"{name} has no licence for this app. Change the user at Talkdesk, then try again.",
        ),
        actions=_switching(switch, retry, primary=True),
        help=Help.of(app),
        reference=reference,
    )


def denied(*, retry: str, app: TalkdeskApp, reference: str) -> Page:
    """Talkdesk answered ``access_denied``: the user, or the account's rules, said no."""
    return Page(
        status=403,
        tone="stop",
        title="Talkdesk did not sign you in",
        sentences=(
            "The sign-in was cancelled, or your account does not allow it for your user.",
            "If that was not intended, try again, or ask an administrator of your Talkdesk account.",
        ),
        actions=(Action("Try again", retry),),
        help=Help.of(app),
        reference=reference,
    )


def cookies_needed(*, retry: str, app: TalkdeskApp, reference: str) -> Page:
    """The browser came back from Talkdesk without our cookie."""
    return Page(
        status=400,
        tone="stop",
        title="Your browser keeps no cookies for this app",
        sentences=(
            "Signing in needs cookies, and your browser came back from Talkdesk without them.",
            "Allow cookies for this address, then try again. If they are allowed, it took too long.",
        ),
        actions=(Action("Try again", retry),),
        help=Help.of(app),
        reference=reference,
    )


def signed_out_meanwhile(*, retry: str, app: TalkdeskApp, reference: str) -> Page:
    """The user's epoch changed during the sign-in, twice in a row."""
    return Page(
        status=403,
        tone="stop",
        title="You were signed out meanwhile",
        sentences=("While you were signing in, your Talkdesk user signed out elsewhere.",),
        actions=(Action("Sign in again", retry),),
        help=Help.of(app),
        reference=reference,
    )


def sign_out(name: str | None, *, back: str, app: TalkdeskApp) -> Page:
    """Asks before signing out, so that no link can do it.

    :param name: of the signed-in user; None where the session has ended in this browser alone.
    """
    here = (
        f"You are signed in as {name}."
        if name is not None
        else "Your session in this browser has ended, but you may still be signed in elsewhere."
    )
    return Page(
        status=200,
        tone="ask",
        title="Sign out?",
        sentences=(
            f"{here} Signing out ends all your sessions in this app, in every browser.",
            "You stay signed in to Talkdesk.",
        ),
        actions=(Action("Stay signed in" if name is not None else "Sign in again", back, primary=False),),
        form="Sign out",
        help=Help.of(app),
    )


def signed_out(*, again: str, app: TalkdeskApp) -> Page:
    """All of the user's sessions have ended, and this was seen."""
    return Page(
        status=200,
        tone="done",
        title="You are signed out",
        sentences=(
            "Your sessions in this app have ended, in every browser. You stay signed in to Talkdesk.",
        ),
        actions=(Action("Sign in again", again, primary=False),),
        help=Help.of(app),
    )


def sign_out_stored(*, again: str, app: TalkdeskApp) -> Page:
    """This browser is out; that the user's other sessions have ended was not seen yet."""
    return Page(
        status=200,
        tone="wait",
        title="You are signed out here",
        sentences=(
            "Your sign-out is stored, and takes longer than usual at this moment.",
            "Your sessions in other browsers end as soon as it is carried out.",
            "You stay signed in to Talkdesk.",
        ),
        actions=(Action("Sign in again", again, primary=False),),
        help=Help.of(app),
    )


def not_signed_in(*, again: str, app: TalkdeskApp, ended: bool = False) -> Page:
    """Nothing says whose sessions could have ended; or (``ended``) the one here had, and later ones go on."""
    already = ("Your session in this browser had ended already.",) if ended else ()
    return Page(
        status=200,
        tone="ask",
        title="You are not signed in here",
        sentences=(
            *already,
            "To end sessions that you may have in other browsers, sign in here, then sign out.",
        ),
        actions=(Action("Sign in", again, primary=False),),
        help=Help.of(app),
    )


def not_signed_out(*, app: TalkdeskApp, reference: str) -> Page:
    """Kubernetes could not be told, or users are not known; the cookies stay: it can be tried again."""
    return Page(
        status=503,
        tone="trouble",
        title="You are still signed in",
        sentences=("We could not end your sessions at this moment. Please try again shortly.",),
        form="Sign out",
        help=Help.of(app),
        reference=reference,
    )


def _switching(switch: str | None, retry: str, *, primary: bool = False) -> tuple[Action, ...]:
    if switch is None:
        return (Action("Try again", retry, primary=primary),)
    return (
        Action("Change user at Talkdesk", switch, primary=primary, aside=True),
        Action("Try again", retry, primary=False),
    )
