"""What the sandbox changes of a partner's TalkdeskApp: what is this machine's, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from samples import sample_of
from talkdesk_crds.app import TalkdeskApp
from talkdesk_sandbox.partner.fitted import Place, fitted, listing, without_scopes
from talkdesk_sandbox.talkdesk.control_bodies import DEFAULT_SCOPES

SAMPLE = sample_of("talkdeskapp")
PLACE = Place(
    app="sample",
    namespace="talkdesk-system",
    app_id="a1",
    regions={"eu": {"api": "api.eu.localhost", "identity": "id.eu.localhost"}},
    bar="http://bar.localhost/bar.js",
    keys="http://127.200.0.9:8083/jwks.json",
    website="http://www.partner.localhost:1",
    resellers=["r1"],
)


@pytest.fixture
def declared() -> dict[str, Any]:
    return copy.deepcopy(SAMPLE)


def test_all_that_is_not_this_machines_stays_as_it_is_written(declared: dict[str, Any]) -> None:
    before = copy.deepcopy(declared)
    spec = fitted(declared, PLACE)["spec"]
    assert declared == before
    changed = {key for key in spec.keys() | before["spec"].keys() if spec.get(key) != before["spec"].get(key)}
    assert changed == {
        *("appId", "regions", "baseDomain", "launchHost", "bar", "links", "resellers", "signIn", "variants")
    }
    assert spec["bar"]["attributes"] == before["spec"]["bar"]["attributes"]
    assert spec["bar"]["height"] == before["spec"]["bar"]["height"]
    assert spec["signIn"] == {"scopes": ["openid", "account:read"]}
    assert set(spec["resellers"]) == {"5f0c6a2e9d1b4c00cccccccc", "r1"}
    TalkdeskApp.model_validate(fitted(declared, PLACE))


def test_an_app_without_a_bar_has_the_sandboxes(declared: dict[str, Any]) -> None:
    del declared["spec"]["bar"]
    assert fitted(declared, PLACE)["spec"]["bar"]["script"] == PLACE.bar


def test_links_that_lead_outside_are_stood_in_for_and_those_of_this_machine_stay(
    declared: dict[str, Any],
) -> None:
    declared["spec"]["links"] = {"terms": "https://example.com/t", "support": "http://my.localhost:8/s"}
    assert fitted(declared, PLACE)["spec"]["links"] == {
        "terms": "http://www.partner.localhost:1/terms",
        "support": "http://my.localhost:8/s",
    }


def test_the_gateways_keys_are_found_without_dns(declared: dict[str, Any]) -> None:
    declared["spec"]["template"][0]["metadata"]["annotations"] = {"keys": "at ${gateway.keys}, $${x}"}
    annotations = fitted(declared, PLACE)["spec"]["template"][0]["metadata"]["annotations"]
    assert annotations == {"keys": f"at {PLACE.keys}, $${{x}}"}


def test_the_listing_has_name_terms_and_plans_with_the_first_as_the_trial(declared: dict[str, Any]) -> None:
    declared["spec"]["plans"] = {"Try": {}, "Team": {}, "Firm": {}}
    shown = listing(TalkdeskApp.model_validate(declared), website=PLACE.website)
    assert shown["name"] == "Sample"
    assert shown["terms_url"] == "http://www.partner.localhost:1/terms"
    assert [(one["name"], one["type"], one["price"]) for one in shown["plans"]] == [
        ("Try", "trial", 0),
        ("Team", "paid", 20),
        ("Firm", "paid", 40),
    ]


def test_an_app_that_names_no_plans_has_a_trial_and_a_paid_one(declared: dict[str, Any]) -> None:
    del declared["spec"]["plans"]
    shown = listing(TalkdeskApp.model_validate(declared), website=PLACE.website)
    assert [one["type"] for one in shown["plans"]] == ["trial", "paid"]


def test_the_listing_has_each_scope_once_that_signing_in_any_version_and_roles_need(
    declared: dict[str, Any],
) -> None:
    spec = declared["spec"]
    spec["signIn"] = {"scopes": ["openid", "reports:read"]}
    spec["variants"] = [
        {"appVersion": "v1", "signIn": {"scopes": ["reports:read", "calls:read"]}},
        {"appVersion": "v0"},
    ]
    spec["users"] = {"roles": [{"talkdesk": "Supervisor", "app": "lead"}]}
    shown = listing(TalkdeskApp.model_validate(declared), website=PLACE.website)
    assert shown["scopes"] == [*DEFAULT_SCOPES, "reports:read", "calls:read", "scim"]


def test_an_app_that_asks_for_no_scopes_has_those_that_every_app_needs(declared: dict[str, Any]) -> None:
    for part in ("signIn", "variants", "users"):
        declared["spec"].pop(part, None)
    shown = listing(TalkdeskApp.model_validate(declared), website=PLACE.website)
    assert shown["scopes"] == DEFAULT_SCOPES


def test_customers_that_installed_before_a_scope_was_listed_are_named() -> None:
    accounts = [{"id": "1", "name": "northwind"}, {"id": "2", "name": "acme"}, {"id": "3", "name": "tern"}]
    state = {
        "apps": [{"id": "a1", "scopes": ["openid", "scim"]}, {"id": "a2", "scopes": ["openid", "x"]}],
        "accounts": accounts,
        "installations": [
            {"app_id": "a1", "account_id": "1", "state": "completed", "scopes": ["openid"]},
            {"app_id": "a1", "account_id": "2", "state": "completed", "scopes": ["scim", "openid", "old"]},
            {"app_id": "a1", "account_id": "3", "state": "uninstalled", "scopes": ["openid"]},
            {"app_id": "a2", "account_id": "2", "state": "completed", "scopes": ["openid"]},
        ],
    }
    assert without_scopes(state, "a1") == {"northwind": ["scim"]}
