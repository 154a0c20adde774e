"""Every setting can be given by the environment, and a wrong one is refused at once."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from talkdesk_client import ClientOptions


def test_settings_are_read_from_the_environment_with_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKDESK_CLIENT_AUTH_METHOD", "client_secret_basic")
    monkeypatch.setenv("TALKDESK_CLIENT_ASSERTION_AUDIENCE", "origin")
    monkeypatch.setenv("TALKDESK_CLIENT_NO_TRIAL_STATUSES", "404, 410")
    monkeypatch.setenv("TALKDESK_CLIENT_NO_TRIAL_STATES", "none,absent")
    monkeypatch.setenv("TALKDESK_CLIENT_PAGE_SIZE", "0")
    monkeypatch.setenv("TALKDESK_CLIENT_RETRY_BUDGET", "7.5")
    options = ClientOptions()
    assert (options.auth_method, options.assertion_audience) == ("client_secret_basic", "origin")
    assert (options.no_trial_statuses, options.no_trial_states) == ((404, 410), ("none", "absent"))
    assert (options.page_size, options.retry_budget) == (0, 7.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_METHOD", "password"),
        ("ASSERTION_AUDIENCE", ""),
        ("NO_TRIAL_STATUSES", "never"),
        ("CONCURRENCY", "0"),
        ("ATTEMPT_TIMEOUT", "inf"),
        ("RETRY_BUDGET", "-1"),
        ("PAGE_SIZE_PARAMETER", ""),
    ],
)
def test_a_wrong_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TALKDESK_CLIENT_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        ClientOptions()


def test_every_setting_is_documented() -> None:
    assert [
        name for name in ClientOptions.model_fields if f"``{name}``" not in (ClientOptions.__doc__ or "")
    ] == []
