"""Mails to the installing admin, from a real operator through a real SMTP server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from talkdesk_crds.names import MAILS_ANNOTATION
from talkdesk_kube import resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(open_world: Callable[..., Any]) -> AsyncIterator[World]:
    """Its operator writes to the stand-in's mailbox."""
    async with open_world() as made:
        await made.start(**made.mailing(made.stand_in.smtp_host, made.stand_in.smtp_port))
        yield made


async def test_a_life_is_told_in_one_mail_for_each_outcome(world: World, eventually: Any) -> None:
    await world.declare(email={"appName": "Calls", "templates": {"updated": {"text": "Hi {{ admin.name }}"}}})
    installed = await world.install(users=2)
    to = await world.admin(installed)
    await world.condition(installed, "Notified", "True", "MailSent")
    (mail,) = await world.mails(to)
    assert mail["subject"].startswith("Calls is ready for ")
    assert (mail["sender"], mail["reply_to"]) == ("Calls <apps@example.com>", "support@demo.localhost")
    tenant = await world.tenant(installed)
    launch = f"https://{tenant.rpartition('-')[2]}.demo.localhost/"
    for body in (mail["text"], mail["html"]):
        for expected in (launch, "support@demo.localhost", "/terms", "/support", "Free trial", "User 0"):
            assert expected in body

    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added], "removing": []})
    await world.approved(installed, 2)

    async def told(number: int) -> list[dict[str, Any]] | None:
        found = await world.mails(to)
        return found if len(found) >= number else None

    mails = await eventually(lambda: told(2))
    assert (mails[1]["text"].strip(), mails[1]["html"]) == ("Hi User 0", None)

    await world.post(f"/control/installations/{installed.id}/uninstall", {})
    await world.approved(installed, 3)
    mails = await eventually(lambda: told(3))
    assert mails[2]["subject"].startswith("Calls was uninstalled for ")
    assert "Your data is kept until 20" in mails[2]["text"]
    assert launch not in mails[2]["text"]

    async def all_sent() -> bool:
        return [(one["outcome"], one["state"]) for one in await world.mail_record(installed)] == [
            ("installed", "sent"), ("updated", "sent"), ("uninstalled", "sent"),
        ]  # fmt: skip

    await eventually(all_sent)
    await world.condition(installed, "Notified", "True", "MailSent")
    assert to not in json.dumps(await world.installation(installed))


async def test_failures_are_told_with_their_reason_and_whom_to_ask(world: World, eventually: Any) -> None:
    app = await world.declare(approval={"gate": "WorkloadReady", "patienceSeconds": 1})
    failed = await world.install()
    await world.condition(failed, "Confirmed", "True", "Rejected")
    to = await world.admin(failed)

    async def subjects(address: str, number: int) -> list[str] | None:
        mails = await world.mails(address)
        return [mail["subject"] for mail in mails] if len(mails) >= number else None

    (subject,) = await eventually(lambda: subjects(to, 1))
    assert "could not be installed" in subject
    (mail,) = await world.mails(to)
    for body in (mail["text"], mail["html"]):
        assert "the app did not start in time" in body
        assert "support@demo.localhost" in body
        assert "Deployment" not in body

    await world.declare(approval={"gate": "NamespaceReady", "patienceSeconds": 1})
    installed = await world.install()
    await world.approved(installed)
    broken = {"template": [*app["spec"]["template"], {"kind": "ConfigMap", "apiVersion": "v1",
              "metadata": {"name": "x"}, "data": {"a": "${account.nme}"}}]}  # fmt: skip
    await world.kube.merge_patch(
        resources.APPS, world.app, {"spec": broken}, namespace=world.release.namespace
    )
    await world.kube.merge_patch(
        resources.INSTALLATIONS, installed.name,
        {"spec": {"approval": "Manual"}}, namespace=world.release.namespace,
    )  # fmt: skip
    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added], "removing": []})
    await world.condition(installed, "Confirmed", "False", "WaitingForPerson")
    shown = (await world.installation(installed))["status"]["talkdesk"]["updatedAt"]
    decision = {"decision": {"answer": "reject", "updatedAt": shown, "reason": "No\r\nBcc: x@y.example"}}
    await world.kube.merge_patch(
        resources.INSTALLATIONS, installed.name, {"spec": decision}, namespace=world.release.namespace
    )
    to = await world.admin(installed)
    told = await eventually(lambda: subjects(to, 2))
    assert "were not applied" in told[1]
    assert "No Bcc: x@y.example" in (await world.mails(to))[1]["text"]
    assert await world.mails("x@y.example") == []


async def test_an_uninstallation_that_talkdesk_ended_itself_is_told_once_as_one_that_failed(
    world: World, eventually: Any
) -> None:
    await world.declare(email={"appName": "Calls"})
    installed = await world.install()
    await world.condition(installed, "Notified", "True", "MailSent")
    to = await world.admin(installed)
    (
        await world.control.patch("/control/switches", json={"unanswered_uninstall": "timeout"})
    ).raise_for_status()
    # Our approval is refused for as long as Talkdesk waits for it.
    await world.post("/control/faults", {"path": ".*/state", "method": "POST", "status": 503, "times": None})
    try:
        await world.post(f"/control/installations/{installed.id}/uninstall", {})

        async def tried() -> bool:
            return any(
                entry["kind"] == "api" and entry["method"] == "POST" and entry["status"] == 503
                for entry in await world.ledger()
            )

        await eventually(tried)
        assert len(await world.mails(to)) == 1  # of the installation
        await world.post("/control/clock", {"advance_seconds": 7 * 86400 + 60})
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()
        switches = {"unanswered_uninstall": "settled"}
        (await world.control.patch("/control/switches", json=switches)).raise_for_status()
    await world.condition(installed, "Confirmed", "True")

    async def told() -> list[dict[str, Any]] | None:
        found = await world.mails(to)
        return found if len(found) >= 2 else None

    _, mail = await eventually(told)
    assert mail["subject"].startswith("Calls could not be uninstalled for ")
    for body in (mail["text"], mail["html"]):
        assert "It took too long, and Talkdesk ended it." in body
        assert "Nobody has access any more in any case." in body
        assert "uninstall it once more in Talkdesk AppConnect" in body
        assert "support@demo.localhost" in body
        assert ".demo.localhost/_td" not in body

    async def noted() -> bool:
        return [(one["outcome"], one["state"]) for one in await world.mail_record(installed)] == [
            ("installed", "sent"), ("uninstallFailed", "sent"),
        ]  # fmt: skip

    await eventually(noted)
    passes = await world.passes()
    await world.kube.merge_patch(
        resources.INSTALLATIONS, installed.name, {"metadata": {"labels": {"touched": "yes"}}},
        namespace=world.release.namespace,
    )  # fmt: skip

    async def looked_again() -> bool:
        return bool(await world.passes() > passes)

    await eventually(looked_again)
    assert len(await world.mails(to)) == 2


async def nobody(world: World) -> Any:
    """An installation whose admin's e-mail address is none."""
    name = f"n{world.customers}-{world.app_id[:8]}"
    account = (await world.post("/control/accounts", {"name": name, "region": "eu"}))["id"]
    user = await world.post(f"/control/accounts/{account}/users", {"email": "nonsense", "name": "No One"})
    return await world.install(account=account, people=[user["id"]]), f"admin@{name}.example"


async def test_where_the_admin_cannot_be_written_to_the_account_is(world: World) -> None:
    await world.declare()
    installed, office = await nobody(world)
    await world.condition(installed, "Notified", "True", "MailSent")
    assert len(await world.mails(office)) == 1


async def test_nobody_to_write_to_is_said_and_the_mail_stays_owed(world: World) -> None:
    await world.declare()
    await world.post("/control/faults", {"path": "/account$", "status": 403, "times": 1000})
    try:
        installed, _ = await nobody(world)
        await world.approved(installed)
        await world.condition(installed, "Notified", "False", "NobodyToWriteTo")
        (one,) = await world.mail_record(installed)
        assert one["state"] == "owed"
        await world.condition(installed, "Ready", "True")
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()


async def test_deleting_status_leads_to_no_second_mail(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await world.install()
    to = await world.admin(installed)
    await world.condition(installed, "Notified", "True", "MailSent")
    passes = await world.passes()
    world.plane.kubectl(
        *("-n", world.release.namespace, "patch", "tdi", installed.name, "--subresource=status"),
        *("--type=json", "-p", '[{"op": "remove", "path": "/status"}]'),
        *("--as=restorer", "--as-group=talkdesk-operator:restore", "--as-group=system:masters"),
    )
    await world.condition(installed, "Ready", "True")
    await world.condition(installed, "Notified", "True", "MailSent")

    async def settled() -> bool:
        return bool(await world.passes() > passes)

    await eventually(settled)
    assert len(await world.mails(to)) == 1


async def test_a_broken_template_is_shown_at_the_app_and_the_default_is_sent(
    world: World, eventually: Any
) -> None:
    await world.declare(email={"templates": {"installed": {"text": "{{ account.nme }}"}}})

    async def shown() -> dict[str, Any] | None:
        stored = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
        found = {one["type"]: one for one in stored["status"]["conditions"]}
        return found["MailTemplatesValid"] if found["Accepted"]["status"] == "True" else None

    condition = await eventually(shown)
    assert (condition["status"], condition["reason"]) == ("False", "MailTemplateInvalid")
    assert condition["message"].startswith(
        "spec.email.templates.installed.text: line 1: unknown reference account.nme"
    )
    installed = await world.install()
    await world.condition(installed, "Notified", "True", "MailSent")
    (mail,) = await world.mails(await world.admin(installed))
    assert "is ready" in mail["subject"]


async def test_an_app_that_writes_to_its_customers_itself_is_left_to_it(world: World) -> None:
    await world.declare(email={"enabled": False})
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Notified", "True", "MailsSwitchedOff")
    assert await world.mails(await world.admin(installed)) == []
    assert MAILS_ANNOTATION not in (await world.installation(installed))["metadata"]["annotations"]
