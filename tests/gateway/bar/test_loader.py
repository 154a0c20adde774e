"""The loader's settings, and what pages must allow: text in, text out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from talkdesk_crds.app import Bar, TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.user_slice import LicensedUser
from talkdesk_gateway.bar import bar_script, csp_sources
from talkdesk_gateway.tenancy import Tenancy

SCRIPT = "https://cdn.example/bar.js?key=1;2,3#x"


def tenancy(
    *,
    bar: dict[str, Any] | None,
    account: str | None = "Acme",
    resellers: tuple[str, ...] = (),
    user: str | None = "Ada",
) -> Tenancy:
    entry = LicensedUser(name=user, epoch="e")
    made = {"namespace": "td", "creationTimestamp": "2026-01-01T00:00:00Z"}
    app = {
        "appId": "a1",
        "regions": {"eu": {"api": "api.talkdeskapp.eu", "identity": "talkdeskid.eu"}},
        "baseDomain": "apps.example.com",
        "service": {"name": "web", "port": 8080},
        "template": [],
        "resellers": list(resellers),
        **({"bar": bar} if bar is not None else {}),
    }
    name = {"accountName": {"at": None, "rank": 10, "event": "e", "name": account}} if account else {}
    installation = {
        "appId": "a1",
        "accountId": "acc",
        "installationId": "i1",
        "region": "eu",
        "talkdesk": name,
    }
    return Tenancy(
        installation=TalkdeskInstallation.model_validate(
            {"metadata": {"name": "i1", **made}, "spec": installation}
        ),
        app=TalkdeskApp.model_validate({"metadata": {"name": "a", **made}, "spec": app}),
        host="acme.apps.example.com",
        upstream=None,
        user={"u1": entry}.get,
    )


def settings_of(script: str) -> Any:
    """What the loader was given."""
    found = re.search(r"^  const settings = (.*);$", script, re.MULTILINE)
    assert found is not None
    return json.loads(found[1])


def test_the_loader_knows_the_bar_and_who_sees_it() -> None:
    bar = {
        "script": SCRIPT,
        "height": 56,
        "attributes": {
            "data-account": "${account.id}/${account.name}",
            "data-more": "${region} ${user.id} ${user.name} ${installation.id} ${unknown} $ {} ${account.id",
        },
    }
    told = settings_of(bar_script(tenancy(bar=bar), "u1"))
    assert told == {
        "user": "u1",
        "bar": {
            "script": SCRIPT,
            "height": 56,
            "attributes": {
                "data-account": "acc/Acme",
                "data-more": "eu u1 Ada i1 ${unknown} $ {} ${account.id",
            },
        },
    }


@pytest.mark.parametrize(
    "name",
    [
        "</script><script>alert(1)//",
        '"; alert(1); "',
        "\u2028alert(1)",
        "\\",
        "${user.id}",
        "/*SETTINGS*/ null",
    ],
)
def test_names_are_data_whatever_they_hold(name: str) -> None:
    bar = {"script": SCRIPT, "attributes": {"data-account": "${account.name}", "data-user": "${user.name}"}}
    script = bar_script(tenancy(bar=bar, account=name, user=name), "u1")
    assert settings_of(script)["bar"]["attributes"] == {"data-account": name, "data-user": name}
    assert "</script" not in script
    assert script.isascii()


@pytest.mark.parametrize("user", ["u1", "u2"])
def test_a_name_that_is_not_known_leaves_its_place_empty(user: str) -> None:
    bar = {"script": SCRIPT, "attributes": {"data-name": "<${account.name}|${user.name}>"}}
    script = bar_script(tenancy(bar=bar, account=None, user=None), user)
    assert settings_of(script)["bar"]["attributes"] == {"data-name": "<|>"}


def test_where_no_bar_is_to_be_shown_the_loader_shows_none() -> None:
    bar = {"script": SCRIPT}
    for without in (tenancy(bar=None), tenancy(bar=bar, resellers=("acc",))):
        assert settings_of(bar_script(without, "u1")) == {"user": "u1", "bar": None}


def test_a_stranger_learns_nothing_of_the_account() -> None:
    bar = {"script": SCRIPT, "attributes": {"data-name": "${account.name}"}}
    script = bar_script(tenancy(bar=bar), None)
    assert settings_of(script) == {"user": None, "bar": None}
    assert "Acme" not in script


def test_pages_must_allow_the_loader_the_bar_and_what_the_app_declares() -> None:
    bar = Bar.model_validate(
        {
            "script": SCRIPT,
            "csp": {
                "script-src": ["https://more.example"],
                "connect-src": ["wss://x.example"],
                "img-src": ["data:"],
            },
        }
    )
    assert csp_sources(bar, "https://acme.example:8443") == (
        "script-src https://acme.example:8443/_td/bar.js https://cdn.example/bar.js https://more.example; "
        "connect-src https://acme.example:8443/_td/session wss://x.example; "
        "img-src data:"
    )
