"""What a real cluster tells the timeline: every change, with what became different, and no secret."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from showing.rows import Shown, rows_of
from talkdesk_crds.names import TENANT_LABEL, release_id
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.console.cluster import watching
from talkdesk_sandbox.environment import demo_app
from talkdesk_sandbox.release import RELEASE
from talkdesk_sandbox.talkdesk.hosts import region_table

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-b20d51"


def _app(namespace: str, secret: str, **labels: str) -> dict[str, Any]:
    """A declaration with a secret in every place where people put one."""
    app = demo_app(app_id="0123456789abcdef01234567", regions=region_table())
    app["metadata"] |= {
        "namespace": namespace,
        "labels": labels,
        "annotations": {"example.com/password": secret},
    }
    mine = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"}, "stringData": {"any": secret}}
    app["spec"]["template"].append(mine)
    return app


def _deployment(namespace: str, secret: str) -> dict[str, Any]:
    env = [{"name": "DB_PASSWORD", "value": secret}, {"name": "NOTE", "value": f"Bearer {secret}"}]
    container = {"name": "web", "image": "web:1", "env": env}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
        },
    }


def _installation(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "talkdesk-operator.io/v1alpha1",
        "kind": "TalkdeskInstallation",
        "metadata": {"name": "sample", "namespace": namespace},
        "spec": {"appId": "a" * 24, "accountId": "b" * 24, "installationId": "c" * 24, "region": "eu"},
    }


async def test_every_change_of_the_cluster_is_told_with_what_became_different_and_without_secrets(
    show: Any, control_plane: Any, kube: Any, namespace: str, tmp_path: Path
) -> None:
    async def told(title: str, result: str) -> Shown:
        """The newest such row, once it is there; read as a person does, from the page."""
        deadline = time.monotonic() + 30
        while True:
            seen = show.talkdesk.ledger.last
            page = await show.get(f"{show.root}/timeline?kind=cluster")
            rows = [one for one in rows_of(page.text) if (one.title, one.result) == (title, result)]
            if rows:
                return rows[-1]
            assert time.monotonic() < deadline, [(one.title, one.result) for one in rows_of(page.text)]
            await show.talkdesk.ledger.wait(seen, seconds=1)

    tenant = f"{namespace}-tenant"
    ledger, kubeconfig = show.talkdesk.ledger, control_plane.kubeconfig
    async with watching(kubeconfig, namespace=namespace, ledger=ledger) as cluster:
        show.console.snapshot = cluster.snapshot
        declared = tmp_path / "app.json"
        for number, label in enumerate(("first", "second")):
            declared.write_text(json.dumps(_app(namespace, f"{CANARY}-{number}", seen=label)))
            control_plane.kubectl("apply", "-f", str(declared))  # which keeps a copy in an annotation
            if not number:
                made = await told("TalkdeskApp demo", "added")
        assert made.blocks["Object"]["spec"]["appId"] == "0123456789abcdef01234567"
        assert made.blocks["Details"] == {"kind": "TalkdeskApp", "name": "demo", "namespace": namespace}
        changed = await told("TalkdeskApp demo: annotations, labels, template", "changed")
        changes = {one["path"]: one for one in changed.blocks["What changed"]}
        assert changes["metadata.labels.seen"] | {"path": ""} == {"path": "", "from": "first", "to": "second"}
        assert changes["metadata.annotations.example.com/password"]["to"] == "***"
        assert changes["spec.template"]["to"][-1]["stringData"] == "***"

        await kube.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": tenant, "labels": {TENANT_LABEL: release_id(namespace, RELEASE)}},
            },
            field_manager="test",
        )
        await told(f"Namespace {tenant}", "added")
        await kube.apply(_deployment(tenant, CANARY), field_manager="test")
        deployment = await told("Deployment web", "added")
        (container,) = deployment.blocks["Object"]["spec"]["template"]["spec"]["containers"]
        assert [one["value"] for one in container["env"]] == ["***", "Bearer ***"]

        await kube.apply(_installation(namespace), field_manager="test")
        row = await told("TalkdeskInstallation sample", "added")
        assert row.blocks["Object"]["spec"]["region"] == "eu"
        assert row.facts["Installation"] == "c" * 24
        for status, tone in (("False", "added"), ("True", "changed")):
            condition = {
                "type": "Ready",
                "status": status,
                "reason": "Test",
                "message": f"as {tone}",
                "lastTransitionTime": "2026-11-29T10:00:00Z",
            }
            patch = {"status": {"conditions": [condition]}}
            await kube.merge_patch(
                kinds.INSTALLATIONS, "sample", patch, namespace=namespace, subresource="status"
            )
        ready = await told("TalkdeskInstallation sample: Ready", "Ready: True")
        assert {"path": "status.conditions.Ready.status", "from": "False", "to": "True"} in ready.blocks[
            "What changed"
        ]
        await kube.delete(kinds.INSTALLATIONS, "sample", namespace=namespace)
        await told("TalkdeskInstallation sample", "deleted")
        for path in ("timeline", "kubernetes"):
            assert CANARY not in (await show.get(f"{show.root}/{path}")).text
    await kube.delete(kinds.NAMESPACES, tenant)
