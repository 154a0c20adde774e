"""From an event to a tenant and back, under the chart's rights."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from talkdesk_crds import names
from talkdesk_kube import resources
from talkdesk_sandbox.rights import is_refused

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_install_makes_a_tenant_and_is_approved_once(world: World) -> None:
    await world.declare()
    installed = await world.install(users=3)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")

    tenant = await world.tenant(installed)
    record = await world.kube.get(resources.CONFIG_MAPS, "talkdesk-account", namespace=tenant)
    told = json.loads(record["data"]["account.json"])
    assert told["account"]["id"] == installed.account
    assert told["installation"]["id"] == installed.id
    for kind in (resources.RESOURCE_QUOTAS, resources.LIMIT_RANGES, resources.NETWORK_POLICIES):
        assert (await world.kube.list(kind, namespace=tenant)).items
    await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)

    licensed = await world.licensed(installed)
    assert set(licensed) == set(installed.users)
    assert [user for user, entry in licensed.items() if entry["admin"]] == [installed.users[0]]

    stored = await world.installation(installed)
    assert stored["status"]["access"]["state"] == "Allowed"
    assert stored["status"]["tenant"] == tenant
    assert [one["answer"] for one in stored["status"]["answers"]] == ["approve"]
    assert not stored["metadata"].get("finalizers")
    # Without an SMTP server no mail is owed.
    assert set(stored["metadata"].get("annotations", {})) == {"talkdesk-operator.io/answers"}
    await world.condition(installed, "Notified", "True", "MailsNotConfigured")


async def test_an_update_takes_effect_and_is_approved_once(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await world.install(users=2)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    before = await world.licensed(installed)
    added = await world.person(installed.account, 9)
    removed = installed.users[1]
    await world.post(
        f"/control/installations/{installed.id}/update", {"adding": [added], "removing": [removed]}
    )
    await world.approved(installed, 2)

    async def settled() -> bool:
        return set(await world.licensed(installed)) == {installed.users[0], added}

    await eventually(settled)
    after = await world.licensed(installed)
    assert after[installed.users[0]]["epoch"] == before[installed.users[0]]["epoch"]

    async def marked() -> bool:
        found = await world.kube.list(resources.REVOCATIONS, namespace=world.release.namespace)
        (mine,) = [one for one in found.items if one["spec"]["installationId"] == installed.id]
        assert mine["spec"]["users"] == [removed]
        return {"appliedAt", "settledAt"} <= set(mine.get("status", {}))

    await eventually(marked)
    await world.condition(installed, "Ready", "True")


async def test_a_sign_out_gives_the_user_a_new_epoch_and_nobody_else(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await world.install(users=2)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    before = await world.licensed(installed)
    out, other = installed.users
    await world.post(f"/control/installations/{installed.id}/logout", {"user_id": out})

    async def changed() -> bool:
        return bool((await world.licensed(installed))[out]["epoch"] != before[out]["epoch"])

    await eventually(changed)
    after = await world.licensed(installed)
    assert after[other] == before[other]


async def test_an_uninstall_suspends_the_tenant_and_a_reinstall_gets_the_same_one(world: World) -> None:
    await world.declare()
    first = await world.install()
    await world.approved(first)
    await world.condition(first, "Ready", "True")
    tenant = await world.tenant(first)
    await world.post(f"/control/installations/{first.id}/uninstall", {})
    await world.approved(first, 2)
    await world.condition(first, "Confirmed", "True", "UninstallApproved")
    stored = await world.installation(first)
    assert stored["status"]["access"] == {"state": "Refused", "reason": "Uninstalled"}
    deployment = await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
    assert deployment["spec"]["replicas"] == 0

    second = await world.install(account=first.account, people=first.users)
    await world.approved(second)
    await world.condition(second, "Ready", "True")
    assert second.id != first.id
    assert await world.tenant(second) == tenant
    deployment = await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
    assert deployment["spec"]["replicas"] == 1
    record = await world.kube.get(resources.CONFIG_MAPS, "talkdesk-account", namespace=tenant)
    assert json.loads(record["data"]["account.json"])["installation"]["id"] == second.id
    await world.condition(first, "Ready", "False", "Superseded")
    assert len(await world.approvals(first)) == 2


@pytest.mark.usefixtures("refusals_intended")
async def test_an_uninstall_is_not_approved_before_access_is_stored_as_refused(
    world: World, eventually: Any
) -> None:
    await world.declare()
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    name = f"{world.release.name}-operator"
    role = await world.kube.get(resources.ROLES, name, namespace=world.release.namespace)
    kept = [rule for rule in role["rules"] if "talkdeskinstallations/status" not in rule["resources"]]

    async def rules(items: list[Any]) -> None:
        await world.kube.merge_patch(
            resources.ROLES, name, {"rules": items}, namespace=world.release.namespace
        )

    await rules(kept)
    try:
        since = world.plane.audit_position()
        await world.post(f"/control/installations/{installed.id}/uninstall", {})

        async def tried() -> bool:
            refused = [one for one in world.plane.audit(since=since) if is_refused(one)]
            where = [(one["user"]["username"], one.get("objectRef") or {}) for one in refused]
            asked = [(user, what.get("name"), what.get("subresource")) for user, what in where]
            return asked.count((world.release.user("operator"), installed.name, "status")) > 3

        await eventually(tried)
        assert len(await world.approvals(installed)) == 1
    finally:
        await rules(role["rules"])
    await world.approved(installed, 2)
    await world.condition(installed, "Confirmed", "True", "UninstallApproved")


async def test_a_person_can_suspend_a_tenant_and_lift_it_again(world: World) -> None:
    await world.declare()
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    tenant = await world.tenant(installed)

    async def suspend(switch: bool) -> None:
        await world.kube.merge_patch(
            resources.INSTALLATIONS,
            installed.name,
            {"spec": {"suspend": switch}},
            namespace=world.release.namespace,
        )

    async def replicas() -> int:
        deployment = await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
        return int(deployment["spec"]["replicas"])

    await suspend(True)
    await world.condition(installed, "Ready", "False", "Suspended")
    assert await replicas() == 0
    assert (await world.installation(installed))["status"]["access"]["state"] == "Refused"
    await suspend(False)
    await world.condition(installed, "Ready", "True")
    assert await replicas() == 1
    assert (await world.installation(installed))["status"]["access"]["state"] == "Allowed"


async def test_what_never_gets_ready_is_rejected_with_a_reason_once_patience_ends(world: World) -> None:
    await world.declare(approval={"gate": "WorkloadReady", "patienceSeconds": 2})
    installed = await world.install()
    await world.condition(installed, "Confirmed", "True", "Rejected")
    assert not await world.approvals(installed)
    rejected = await world.approvals(installed, "reject")
    assert len(rejected) == 1
    stored = await world.installation(installed)
    told = stored["status"]["answers"][0]["reason"]
    assert told.startswith("The installation was not completed: the app did not start in time.")
    assert "Deployment" not in told
    shown = {one["type"]: one["message"] for one in stored["status"]["conditions"]}
    assert "Deployment demo" in shown["Confirmed"]
    assert stored["status"]["access"]["state"] == "Refused"


async def test_an_installation_waits_for_its_app_and_heals_when_it_is_declared(world: World) -> None:
    app = await world.declare()
    await world.kube.delete(resources.APPS, world.app, namespace=world.release.namespace)
    installed = await world.install()
    await world.condition(installed, "AppKnown", "False", "AppUnknown")
    for name in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        app["metadata"].pop(name, None)
    app.pop("status", None)
    await world.kube.apply(app, field_manager="test")
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")


def own_keys() -> dict[str, str]:
    """Credentials as they come with an install."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "client_id": secrets.token_hex(16),
        "client_secret": secrets.token_hex(24),
        "private_key": base64.b64encode(private).decode(),
        "public_key": base64.b64encode(public).decode(),
        "key_id": secrets.token_hex(16),
        "key_algorithm": "ES256",
    }


async def test_links_to_foreign_hosts_are_shown_and_never_followed(world: World) -> None:
    await world.declare()
    api = f"https://{world.stand_in.regions['eu']['api']}"
    foreign = {
        "root": {"root": "https://api.evil.example", "tokens": "https://acme.evil.example/oauth/token"},
        "tokens": {"root": api, "tokens": "https://acme.evil.example/oauth/token"},
    }
    named: dict[str, Any] = {}
    for name, links in foreign.items():
        installation, account = secrets.token_hex(16), secrets.token_hex(12)
        event = {
            "id": secrets.token_hex(16),
            "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "type": "app.installed",
            "app_id": world.app_id,
            "app_version_id": "1",
            "app_version_name": "1.0.0",
            "data": {"installation_id": installation, "account_id": account, "account_name": "acme"}
            | own_keys(),
            "_links": {link: {"href": href} for link, href in links.items()},
        }
        await world.post("/control/events", {"app_id": world.app_id, "event": event})
        object_name = names.installation_name(installation)
        named[name] = SimpleNamespace(id=installation, account=account, name=object_name)
    for one in named.values():
        found = await world.condition(one, "CredentialsValid", "False", "ForeignLinks")
        assert "evil.example" in found["message"]
        await world.condition(one, "Ready", "False")
    # Nothing was done for them, and the proxy, which notes whatever is no name of Talkdesk's, saw nothing.
    entries = await world.ledger()
    assert not [entry for entry in entries if entry["kind"] == "proxy"]
    ids = {one.id for one in named.values()}
    assert not [
        entry for entry in entries if entry["kind"] == "transition" and entry["installation_id"] in ids
    ]


async def test_a_broken_template_is_shown_with_its_path_and_healed_by_its_correction(
    world: World, eventually: Any
) -> None:
    broken = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
        "data": {"name": "${account.nme}"},
    }
    app = await world.declare(template=[broken])
    installed = await world.install()
    found = await world.condition(installed, "TenantReady", "False", "TemplateInvalid")
    assert found["message"].startswith("spec.template[0].data.name: unknown reference ${account.nme}")

    async def accepted() -> dict[str, object] | None:
        stored = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
        return next(iter((stored.get("status") or {}).get("conditions", [])), None)

    shown = await eventually(accepted)
    assert (shown["status"], shown["reason"]) == ("False", "TemplateInvalid")
    assert not await world.approvals(installed)
    app["spec"]["template"][0]["data"]["name"] = "${account.name} at ${tenant.host}"
    app["metadata"].pop("managedFields", None)
    app["metadata"].pop("resourceVersion", None)
    app.pop("status", None)
    await world.kube.apply(app, field_manager="test")
    await world.approved(installed)
    tenant = await world.tenant(installed)
    settings = await world.kube.get(resources.CONFIG_MAPS, "settings", namespace=tenant)
    assert settings["data"]["name"].endswith(".demo.localhost")


async def test_of_two_apps_with_one_id_the_older_is_used_and_the_other_says_so(
    world: World, eventually: Any
) -> None:
    app = await world.declare()
    twin = {
        "apiVersion": app["apiVersion"],
        "kind": app["kind"],
        "metadata": {"name": f"aaa-{world.app}", "namespace": world.release.namespace},
        "spec": {**app["spec"], "template": []},
    }

    async def apart() -> bool:
        # creationTimestamp has whole seconds.
        await world.kube.merge_patch(
            resources.APPS, world.app, {"metadata": {"labels": {"touched": "yes"}}},
            namespace=world.release.namespace,
        )  # fmt: skip
        created = app["metadata"]["creationTimestamp"]
        return datetime.now(UTC) > datetime.fromisoformat(created) + timedelta(seconds=1)

    await eventually(apart)
    await world.kube.apply(twin, field_manager="test")

    async def refused() -> bool:
        stored = await world.kube.get(resources.APPS, f"aaa-{world.app}", namespace=world.release.namespace)
        return bool(stored["status"]["conditions"][0]["reason"] == "DuplicateAppId")

    await eventually(refused)
    installed = await world.install()
    await world.approved(installed)
    await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=await world.tenant(installed))


@pytest.mark.parametrize(
    "switch",
    [
        {"after_uninstall": "revoked"},
        {"after_uninstall": "gone"},
        {"update_shows": "old", "repeated_answer": 409},
        {"overlap": "replace"},
    ],
    ids=str,
)
async def test_a_life_ends_well_however_talkdesk_reads_what_it_does_not_document(
    world: World, eventually: Any, switch: dict[str, Any]
) -> None:
    async with world.switched(**switch):
        await world.declare()
        installed = await world.install(users=2)
        await world.approved(installed)
        added = await world.person(installed.account, 9)
        change = {"adding": [added], "removing": [installed.users[1]]}
        await world.post(f"/control/installations/{installed.id}/update", change)
        await world.approved(installed, 2)
        await world.condition(installed, "Ready", "True")

        async def listed() -> bool:
            return set(await world.licensed(installed)) == {installed.users[0], added}

        await eventually(listed)
        await world.post(f"/control/installations/{installed.id}/uninstall", {})
        await world.approved(installed, 3)
        await world.condition(installed, "Confirmed", "True")
        stored = await world.installation(installed)
        assert stored["status"]["access"] == {"state": "Refused", "reason": "Uninstalled"}
