"""The timeline tells everything and narrows down, without secrets; pages hear of news."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from talkdesk_sandbox.console.differences import differences
from talkdesk_sandbox.console.hiding import hidden
from talkdesk_sandbox.console.snapshot import snapshot


def _events(show: Any) -> list[str]:
    """The types of the events that arrived, in their order."""
    return [re.findall(rb'"type":"([a-z._]+)"', body)[0].decode() for _, body in show.deliveries]


async def test_the_timeline_shows_deliveries_and_decisions_with_bodies_and_narrows_by_both(show: Any) -> None:
    acme, (ada, *_) = show.account("acme")
    other, (eve, *_) = show.account("other")
    id_ = show.installed(acme, [ada])
    show.installed(other, [eve])
    await show.settle()
    page = show.told(await show.get(f"{show.root}/timeline"))
    assert "Talkdesk sends app.installed" in page
    assert "installing → completed" in page
    assert f'"installation_id": "{id_}"' in page
    assert '"note": "taken"' in page  # what the app answered
    mine = await show.get(f"{show.root}/timeline?installation={id_}&kind=delivery")
    titles = re.findall(r'class="title">([^<]*)', mine.text)
    assert titles == ["Talkdesk sends app.trial_started", "Talkdesk sends app.installed"]
    assert set(re.findall(r'class="subject">([^<]*)', mine.text)) == {"acme"}


async def test_any_delivery_can_be_sent_again(show: Any) -> None:
    acme, (ada, *_) = show.account("acme")
    show.installed(acme, [ada])
    await show.settle()
    page = await show.get(f"{show.root}/timeline?kind=delivery")
    event = re.findall(r'name="event" value="([^"]+)"', page.text)[-1]
    assert (await show.post(f"{show.root}/timeline/resend", {"event": event})).status_code == 303
    await show.settle()
    assert _events(show) == ["app.installed", "app.trial_started", "app.installed"]
    assert show.deliveries[0][1] == show.deliveries[2][1]
    assert (await show.post(f"{show.root}/timeline/resend", {"event": "none"})).status_code == 404


async def test_a_person_can_make_accounts_and_users(show: Any) -> None:
    form = {"name": "fresh", "region": "ca", "reseller": "on"}
    assert (await show.post(f"{show.root}/accounts", form)).status_code == 303
    (account,) = show.talkdesk.accounts.values()
    assert (account.name, account.region, account.reseller) == ("fresh", "ca", True)
    person = {"name": "Zoë", "email": "zoe@fresh.example"}
    assert (await show.post(f"{show.root}/accounts/{account.id}/users", person)).status_code == 303
    assert "Zoë" in (await show.get(f"{show.root}/")).text
    wrong = await show.post(f"{show.root}/accounts", {"name": "No Name!", "region": "ca"})
    assert (wrong.status_code, "name" in show.told(wrong)) == (400, True)


async def test_an_open_page_hears_of_a_change_and_of_nothing_else(show: Any) -> None:
    acme, (ada, *_) = show.account("acme")
    headers = {"Host": f"console.localhost:{show.talkdesk.browser_port}"}
    async with show.http.stream("GET", "/_live", headers=headers) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith(": the ledger is at")
        show.installed(acme, [ada])
        async with asyncio.timeout(5):
            async for line in lines:
                if line == "event: change":
                    break


def test_differences_name_conditions_by_their_type_and_leave_noise_out() -> None:
    old = {
        "metadata": {"resourceVersion": "1"},
        "status": {"conditions": [{"type": "Ready", "status": "False"}]},
    }
    new = {
        "metadata": {"resourceVersion": "2"},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "now"}]},
    }
    assert differences(old, new) == [
        {"path": "status.conditions.Ready.status", "from": "False", "to": "True"}
    ]
    assert differences(old, {**old, "metadata": {"resourceVersion": "3"}}) == []


def test_differences_show_no_secret_whose_name_stays_behind_in_the_path() -> None:
    def app(secret: str) -> dict[str, Any]:
        kind = {"kind": "Secret", "type": "Opaque", "stringData": {"any": secret}}
        applied = {
            "kubectl.kubernetes.io/last-applied-configuration": f'{{"stringData": {{"any": "{secret}"}}}}'
        }
        annotations = {"example.com/db-password": secret, "example.com/note": f"as of {secret[-1]}"}
        return {"metadata": {"annotations": applied | annotations}, "spec": {"template": [kind]}}

    found = differences(app("canary-1"), app("canary-2"))
    assert "canary" not in str(found)
    assert {"path": "metadata.annotations.example.com/note", "from": "as of 1", "to": "as of 2"} in found
    assert [one["path"] for one in found][-1] == "spec.template"


def test_the_code_of_an_error_is_shown_and_that_of_a_sign_on_is_not() -> None:
    assert hidden({"code": "not_found", "message": "no trial"})["code"] == "not_found"
    for secret in (
        {"code": "not_found"},
        {"code": "Canary-1", "message": "a"},
        {"code": "c4nary", "message": "a"},
    ):
        assert hidden(secret)["code"] == "***"


def test_secrets_in_kubernetes_objects_are_hidden_by_their_place() -> None:
    canary = "canary-81c2"
    template = {
        "kind": "Secret",
        "metadata": {"name": "plain"},
        "stringData": {"any": canary},
        "data": {"any": canary},
    }
    container = {"env": [{"name": "DB_PASSWORD", "value": canary}, {"name": "PORT", "value": "8080"}]}
    shown = hidden({"template": [template], "containers": [container]})
    assert canary not in str(shown)
    assert shown["containers"][0]["env"][1]["value"] == "8080"
    assert shown["template"][0]["metadata"]["name"] == "plain"


def test_a_snapshot_joins_an_installation_with_its_tenant_and_leaves_other_namespaces_out() -> None:
    installation = {
        "metadata": {"name": "td-1", "creationTimestamp": "2026-11-29T10:00:00Z"},
        "spec": {
            "installationId": "i1",
            "accountId": "a1",
            "region": "eu",
            "talkdesk": {"accountName": {"name": "acme"}},
        },
        "status": {
            "tenant": "t1",
            "plan": "Trial",
            "users": {"count": 2},
            "access": {"state": "Allowed", "reason": "InstallationReady"},
            "deadlines": {"trial": "2026-12-29T10:00:00Z"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "InstallationReady"}],
        },
    }
    event = {"reason": "Approved", "note": "well", "eventTime": "2026-11-29T10:00:01Z"}
    shown = snapshot(
        synced=True,
        namespace="td-system",
        installations=[installation],
        tenants={"t1": {"status": {"phase": "Active"}}},
        deployments=[
            {
                "metadata": {"namespace": "t1", "name": "demo"},
                "spec": {"replicas": 1},
                "status": {"readyReplicas": 1},
            }
        ],
        events=[
            {**event, "metadata": {"name": "e1", "namespace": "td-system"}},
            {**event, "metadata": {"name": "e2", "namespace": "kube-system"}},
        ],
    )
    (row,) = shown.installations
    assert (row.account, row.ready, row.tone, row.users) == ("acme", "True", "good", 2)
    assert row.tenant is not None
    assert (row.tenant.name, row.tenant.workloads) == ("t1", ["demo 1/1"])
    assert row.deadlines == [("2026-12-29T10:00:00Z", "the trial ends")]
    assert [one.name for one in shown.events] == ["e1"]
