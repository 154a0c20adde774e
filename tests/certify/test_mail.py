"""A mail about what was done: what it has to say to be of use to who gets it."""

from __future__ import annotations

import pytest

from talkdesk_certify.check import Failed
from talkdesk_certify.reviewer.mailbox import Mail

_TO = "mara@acme.example"
_NAMELESS = "It is done. Ask help@greeter.example.com, or go on: http://launch.greeter.localhost/"


def _judged(subject: str, text: str) -> str:
    try:
        return Mail(subject, text).useful(to=_TO, app="Greeter")
    except Failed as failed:
        return f"failed: {failed}"


@pytest.mark.parametrize(
    ("subject", "text"),
    [("Greeter is installed", _NAMELESS), ("All set", f"GREETER: {_NAMELESS}")],
    ids=["in the subject", "in the text"],
)
def test_a_mail_that_names_the_app_a_contact_and_a_link_is_useful(subject: str, text: str) -> None:
    assert _judged(subject, text) == f"“{subject}”"


def test_the_apps_name_in_an_address_or_a_link_does_not_name_the_app() -> None:
    assert _judged("All set", _NAMELESS) == "failed: the mail “All set” lacks the app's name (Greeter)"


def test_who_gets_the_mail_is_nobody_to_ask() -> None:
    text = f"Greeter is there for {_TO}: http://greeter.localhost/"
    assert _judged("All set", text).endswith("lacks a contact (an e-mail address)")
