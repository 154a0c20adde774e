"""What a tenant gets beside its template, and in which order: made, kept and mended on a real API server."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_crds.names import TENANT_LABEL, WAVE_ANNOTATION
from talkdesk_kube import NotFound, resources

if TYPE_CHECKING:
    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")


def config_map(name: str, *, wave: int | None = None, **data: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if wave is not None:
        metadata["annotations"] = {WAVE_ANNOTATION: str(wave)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def job(name: str, *, completions: int = 1, **spec: Any) -> dict[str, Any]:
    """A Job that Pod Security admits; without completions it is complete at once."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completions": completions,
            "parallelism": completions,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "main",
                            "image": "talkdesk-demo:1",
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                }
            },
            **spec,
        },
    }


def idle() -> dict[str, Any]:
    """A Deployment that is ready, though no node runs its pods."""
    pod = job("idle")["spec"]["template"]["spec"] | {"restartPolicy": "Always"}
    template = {"metadata": {"labels": {"app": "idle"}}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "idle"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "idle"}, "spec": spec}


async def finish(world: World, namespace: str, of_job: str, eventually: Any) -> None:
    """Be the node on which the Job's pod runs to its end."""

    async def pod() -> Any:
        found = await world.kube.list(
            resources.PODS, namespace=namespace, labels=f"batch.kubernetes.io/job-name={of_job}"
        )
        return found.items

    (one,) = await eventually(pod)
    await world.kube.merge_patch(
        resources.PODS,
        one["metadata"]["name"],
        {"status": {"phase": "Succeeded"}},
        namespace=namespace,
        subresource="status",
    )


async def jobs(world: World, tenant: str) -> list[str]:
    found = await world.kube.list(resources.JOBS, namespace=tenant)
    return [one["metadata"]["name"] for one in found.items]


async def secret(world: World, tenant: str, name: str) -> Any:
    return await world.kube.get(resources.SECRETS, name, namespace=tenant)


async def change(world: World, **spec: Any) -> None:
    await world.kube.merge_patch(resources.APPS, world.app, {"spec": spec}, namespace=world.release.namespace)


async def source(world: World, kind: str, name: str, **content: Any) -> None:
    """What tenants get copies of, in the operator's namespace."""
    metadata = {"name": name, "namespace": world.release.namespace}
    obj = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}
    await world.kube.apply(obj, field_manager="test")


async def test_a_generated_secret_is_made_once_and_outlives_suspension_and_reinstallation(
    world: World,
) -> None:
    keys = {"password": {"length": 40}, "salt": {"length": 16, "alphabet": "Hex"}}
    await world.declare(generatedSecrets=[{"name": "database", "keys": keys}])
    installed = await world.install()
    await world.approved(installed)
    tenant = await world.tenant(installed)
    made = await secret(world, tenant, "database")
    values = {name: base64.b64decode(text).decode() for name, text in made["data"].items()}
    assert made["immutable"] is True
    assert len(values["password"]) == 40
    assert values["password"].isalnum()
    assert len(values["salt"]) == 16
    assert int(values["salt"], 16) >= 0

    await change(world, generatedSecrets=[{"name": "database", "keys": {"password": {"length": 8}}}])
    await world.annotate(installed, resync="once")
    switch = {"spec": {"suspend": True}}
    own = world.release.namespace
    await world.kube.merge_patch(resources.INSTALLATIONS, installed.name, switch, namespace=own)
    await world.condition(installed, "Ready", "False", "Suspended")
    await world.post(f"/control/installations/{installed.id}/uninstall", {})
    await world.condition(installed, "Confirmed", "True", "UninstallApproved")
    again = await world.install(account=installed.account, people=installed.users)
    await world.approved(again)
    assert await world.tenant(again) == tenant
    kept = await secret(world, tenant, "database")
    assert (kept["metadata"]["uid"], kept["data"]) == (made["metadata"]["uid"], made["data"])

    stored = await world.kube.get(resources.CONFIG_MAPS, f"inventory-{tenant}", namespace=own)
    events = (await world.kube.list(resources.EVENTS, namespace=own)).items
    told = json.dumps([stored, events, await world.installation(again)]) + world.logs()
    for value in (*values.values(), *made["data"].values()):
        assert value not in told


async def test_a_generated_secret_that_is_gone_is_made_again_at_the_next_resync_with_a_warning(
    world: World, eventually: Any
) -> None:
    await world.declare(generatedSecrets=[{"name": "database", "keys": {"password": {}}}])
    installed = await world.install()
    await world.approved(installed)
    tenant = await world.tenant(installed)
    before = await secret(world, tenant, "database")
    await world.kube.delete(resources.SECRETS, "database", namespace=tenant)
    await world.annotate(installed, resync="gone")

    async def made() -> Any:
        found = await secret(world, tenant, "database")
        return found if found["data"] != before["data"] else None

    await eventually(made)

    async def warned() -> bool:
        found = await world.kube.list(resources.EVENTS, namespace=world.release.namespace)
        return any(
            one["type"] == "Warning" and one["reason"] == "SecretRemade" and "database" in one["note"]
            for one in found.items
            if one["regarding"]["name"] == installed.name
        )

    await eventually(warned)


async def test_a_generated_secret_that_left_the_app_stays(world: World, eventually: Any) -> None:
    await world.declare(generatedSecrets=[{"name": "database", "keys": {"password": {}}}])
    installed = await world.install()
    await world.approved(installed)
    tenant = await world.tenant(installed)
    before = await secret(world, tenant, "database")
    app = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
    mark = config_map("mark")
    await change(world, generatedSecrets=[], template=[*app["spec"]["template"], mark])

    async def changed() -> Any:
        return await world.kube.get(resources.CONFIG_MAPS, "mark", namespace=tenant)

    await eventually(changed)
    await change(world, template=app["spec"]["template"])

    async def pruned() -> bool:
        found = await world.kube.list(resources.CONFIG_MAPS, namespace=tenant)
        return all(one["metadata"]["name"] != "mark" for one in found.items)

    await eventually(pruned)
    assert (await secret(world, tenant, "database"))["data"] == before["data"]


async def test_secrets_come_back_at_once_with_a_namespace_that_was_deleted(
    world: World, eventually: Any
) -> None:
    await source(world, "Secret", "copied", stringData={"key": "value"})
    await world.declare(
        generatedSecrets=[{"name": "database", "keys": {"password": {}}}],
        copies=[{"kind": "Secret", "name": "copied"}],
    )
    installed = await world.install()
    await world.approved(installed)
    tenant = await world.tenant(installed)
    before = await secret(world, tenant, "database")
    await world.kube.delete(resources.NAMESPACES, tenant)

    async def again() -> bool:
        await secret(world, tenant, "copied")
        return bool((await secret(world, tenant, "database"))["data"] != before["data"])

    await eventually(again)


async def test_a_copy_follows_its_source(world: World, eventually: Any) -> None:
    await source(world, "ConfigMap", "shared", data={"key": "one"}, binaryData={"bytes": "AAE="})
    await source(world, "Secret", "copied", stringData={"key": "one"})
    wanted = [{"kind": "ConfigMap", "name": "shared"}, {"kind": "Secret", "name": "copied"}]
    await world.declare(copies=wanted)
    installed = await world.install()
    await world.approved(installed)
    tenant = await world.tenant(installed)
    shared = await world.kube.get(resources.CONFIG_MAPS, "shared", namespace=tenant)
    assert (shared["data"], shared["binaryData"]) == ({"key": "one"}, {"bytes": "AAE="})
    copied = await secret(world, tenant, "copied")
    assert base64.b64decode(copied["data"]["key"]) == b"one"

    await source(world, "ConfigMap", "shared", data={"key": "two"})

    async def followed() -> bool:
        found = await world.kube.get(resources.CONFIG_MAPS, "shared", namespace=tenant)
        return bool(found["data"] == {"key": "two"} and "binaryData" not in found)

    await eventually(followed)
    await source(world, "Secret", "copied", stringData={"key": "two"})
    await world.annotate(installed, resync="copied")

    async def followed_too() -> bool:
        found = await secret(world, tenant, "copied")
        return base64.b64decode(found["data"]["key"]) == b"two"

    await eventually(followed_too)
    stored = await world.kube.get(
        resources.CONFIG_MAPS, f"inventory-{tenant}", namespace=world.release.namespace
    )
    records = {one["name"]: one for one in json.loads(stored["data"]["objects.json"])}
    assert "owned" not in records["copied"], "a digest of a Secret's content tells of short ones"


async def test_a_missing_source_is_named_and_heals(world: World, whole_run: Any) -> None:
    late = f"late-{world.app_id[:6] or 'first'}"
    wanted = [{"kind": "ConfigMap", "name": late}]
    await world.declare(copies=wanted)
    installed = await world.install()
    found = await world.condition(installed, "TenantReady", "False", "SourceMissing")
    assert f"ConfigMap {late} is not in namespace {world.release.namespace}" in found["message"]
    await source(world, "ConfigMap", late, data={"key": "value"})
    await world.approved(installed)

    with whole_run.refusals_intended():
        await world.declare(copies=[{"kind": "Secret", "name": "unlisted"}])
        await source(world, "Secret", "unlisted", stringData={"key": "value"})
        other = await world.install()
        found = await world.condition(other, "TenantReady", "False", "SourceMissing")
        assert "operator.copySecrets" in found["message"]
        await change(world, copies=[])
        await world.approved(other)


async def test_pods_pull_their_images_with_the_apps_secrets(world: World, eventually: Any) -> None:
    config = base64.b64encode(b'{"auths":{}}').decode()
    content = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": config}}
    await source(world, "Secret", "registry", **content)
    own = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "own"}}
    app = await world.declare(imagePullSecrets=["registry"])
    await change(world, template=[*app["spec"]["template"], own])
    installed = await world.install()
    await world.approved(installed)
    tenant = await world.tenant(installed)
    assert (await secret(world, tenant, "registry"))["type"] == content["type"]
    for name in ("tenant", "own"):
        account = await world.kube.get(resources.SERVICE_ACCOUNTS, name, namespace=tenant)
        assert account["imagePullSecrets"] == [{"name": "registry"}]
        assert account["automountServiceAccountToken"] is False

    async def pods() -> Any:
        return (await world.kube.list(resources.PODS, namespace=tenant)).items

    for pod in await eventually(pods):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        assert not [one for one in pod["spec"].get("volumes", []) if "projected" in one]


async def test_sample_data_holds_the_approval_and_is_loaded_once_in_a_tenants_life(
    world: World, eventually: Any
) -> None:
    await world.declare(template=[idle()], sampleData=job("samples", ttlSecondsAfterFinished=0))
    installed = await world.install()
    told = await world.condition(installed, "TenantReady", "False", "SampleDataRunning")
    tenant = await world.tenant(installed)
    (name,) = await jobs(world, tenant)
    assert name.startswith("samples-")
    assert name in told["message"]
    assert await world.approvals(installed) == []
    await finish(world, tenant, name, eventually)
    await world.approved(installed)

    async def cleaned() -> bool:
        return await jobs(world, tenant) == []

    await eventually(cleaned)  # by the Job's own time to live, once its success was on record
    since = world.plane.audit_position()
    world.operators[0].kill()
    await eventually(world.restarted)
    await world.annotate(installed, resync="again")
    await world.post(f"/control/installations/{installed.id}/uninstall", {})
    await world.condition(installed, "Confirmed", "True", "UninstallApproved")
    again = await world.install(account=installed.account, people=installed.users)
    await world.approved(again)
    await world.condition(again, "Ready", "True")
    assert [one for one in world.writes(since) if "jobs" in one] == []


async def test_sample_data_that_fails_stops_the_approval_until_it_is_corrected(
    world: World, eventually: Any
) -> None:
    await world.declare(template=[idle()], sampleData=job("samples", activeDeadlineSeconds=1, backoffLimit=0))
    installed = await world.install()
    told = await world.condition(installed, "TenantReady", "False", "SampleDataFailed")
    assert "Job samples-" in told["message"]
    assert await world.approvals(installed) == []
    tenant = await world.tenant(installed)
    (failed,) = await jobs(world, tenant)
    await change(world, sampleData=job("samples", completions=0))
    await world.approved(installed)

    async def only_the_new_one() -> bool:
        found = await jobs(world, tenant)
        return len(found) == 1 and found != [failed]

    await eventually(only_the_new_one)


async def test_a_running_sample_data_job_is_neither_pruned_nor_joined_by_another(
    world: World, eventually: Any
) -> None:
    await world.declare(template=[idle()], sampleData=job("samples"))
    installed = await world.install()
    await world.condition(installed, "TenantReady", "False", "SampleDataRunning")
    tenant = await world.tenant(installed)
    (first,) = await jobs(world, tenant)
    passes = await world.passes()
    await change(world, sampleData=job("others"))

    async def looked() -> bool:
        return bool(await world.passes() > passes)

    await eventually(looked)
    assert await jobs(world, tenant) == [first]
    await finish(world, tenant, first, eventually)
    await world.approved(installed)

    async def pruned() -> bool:
        return await jobs(world, tenant) == []

    await eventually(pruned)


async def test_a_tenant_from_before_the_sample_data_gets_none(world: World, eventually: Any) -> None:
    app = await world.declare()
    installed = await world.install()
    await world.approved(installed)
    tenant = await world.tenant(installed)
    template = [*app["spec"]["template"], config_map("mark")]
    await change(world, sampleData=job("samples"), template=template)

    async def changed() -> Any:
        return await world.kube.get(resources.CONFIG_MAPS, "mark", namespace=tenant)

    await eventually(changed)
    await world.condition(installed, "Ready", "True")
    assert await jobs(world, tenant) == []


async def test_a_later_wave_waits_for_the_workloads_of_the_earlier_ones(
    world: World, eventually: Any
) -> None:
    first, second = job("first"), job("second", completions=0)
    second["metadata"]["annotations"] = {WAVE_ANNOTATION: "1"}
    await world.declare(template=[config_map("last", wave=2), second, first, config_map("plain")])
    installed = await world.install()
    told = await world.condition(installed, "TenantReady", "False", "WorkloadNotReady")
    assert told["message"] == "wave 1 waits: Job first: not complete"
    tenant = await world.tenant(installed)
    await world.kube.get(resources.CONFIG_MAPS, "plain", namespace=tenant)
    with pytest.raises(NotFound):
        await world.kube.get(resources.JOBS, "second", namespace=tenant)
    assert await world.approvals(installed) == []
    since = world.plane.audit_position()
    await finish(world, tenant, "first", eventually)
    await world.approved(installed)
    await world.kube.get(resources.CONFIG_MAPS, "last", namespace=tenant)
    made = [one for one in world.writes(since) if one.split()[1] in ("jobs", "configmaps")]
    assert made.index("patch jobs second") < made.index("patch configmaps last")

    # Drift is put right in every wave, also while an earlier one is not ready.
    await world.kube.delete(resources.JOBS, "first", namespace=tenant)
    await world.kube.delete(resources.CONFIG_MAPS, "last", namespace=tenant)

    async def back() -> Any:
        return await world.kube.get(resources.CONFIG_MAPS, "last", namespace=tenant)

    await eventually(back)
    assert "first" in await jobs(world, tenant)


async def test_the_app_labels_its_tenants_but_never_in_the_products_name(
    world: World, eventually: Any
) -> None:
    await world.declare(namespaceLabels={"team": "apps", "app.kubernetes.io/part-of": "demo"})
    installed = await world.install()
    await world.approved(installed)
    tenant = await world.tenant(installed)

    async def labels() -> Any:
        return (await world.kube.get(resources.NAMESPACES, tenant))["metadata"]["labels"]

    found = await labels()
    assert (found["team"], found["app.kubernetes.io/part-of"]) == ("apps", "demo")
    app = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
    app["metadata"].pop("managedFields")
    for label in (TENANT_LABEL, "kubernetes.io/metadata.name", "pod-security.kubernetes.io/enforce"):
        code, told = refused(world, {"spec": {"namespaceLabels": {label: "x"}}})
        assert code == 422, told
    await world.kube.merge_patch(
        resources.APPS, world.app, {"spec": {"namespaceLabels": {"team": None}}},
        namespace=world.release.namespace,
    )  # fmt: skip

    async def gone() -> bool:
        return "team" not in await labels()

    await eventually(gone)


def refused(world: World, patch: Any) -> tuple[int, str]:
    """The API server's answer to a patch of the app that should not be taken."""
    from talkdesk_sandbox.controlplane import CommandError  # noqa: PLC0415 - for this test alone

    where = ("talkdeskapp", world.app, "--namespace", world.release.namespace)
    try:
        world.plane.kubectl("patch", *where, "--type", "merge", "--patch", json.dumps(patch))
    except CommandError as error:
        told = str(error)
        return (422 if "is invalid" in told else 0), told
    return 200, ""


async def test_what_controllers_copy_labels_to_is_never_pruned(world: World, eventually: Any) -> None:
    app = await world.declare()
    installed = await world.install()
    await world.approved(installed)
    tenant = await world.tenant(installed)

    async def slices() -> Any:
        return (await world.kube.list(resources.ENDPOINT_SLICES, namespace=tenant)).items

    (one,) = await eventually(slices)
    assert one["metadata"]["labels"]["talkdesk-operator.io/managed"], "the controller copies our labels"
    template = app["spec"]["template"]
    await change(world, template=[*template, config_map("mark")])

    async def there() -> Any:
        return await world.kube.get(resources.CONFIG_MAPS, "mark", namespace=tenant)

    await eventually(there)
    since = world.plane.audit_position()
    await change(world, template=template)

    async def pruned() -> Any:
        deleted = [line for line in world.writes(since) if line.startswith("delete")]
        # A revision that no tenant names any more goes as well; it is no part of a tenant.
        return [line for line in deleted if "controllerrevisions" not in line]

    assert await eventually(pruned) == ["delete configmaps mark"]
    (after,) = await slices()
    assert after["metadata"]["uid"] == one["metadata"]["uid"]


async def test_a_pass_over_a_tenant_with_all_of_it_writes_nothing(world: World, eventually: Any) -> None:
    await source(world, "ConfigMap", "shared", data={"key": "value"})
    await source(world, "Secret", "copied", stringData={"key": "value"})
    app = await world.declare(
        generatedSecrets=[{"name": "database", "keys": {"password": {}}}],
        copies=[{"kind": "ConfigMap", "name": "shared"}, {"kind": "Secret", "name": "copied"}],
        sampleData=job("samples", completions=0),
        namespaceLabels={"team": "apps"},
    )
    await change(
        world,
        template=[job("first", completions=0), config_map("later", wave=3), *app["spec"]["template"][1:]],
    )
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    await world.quiet()
    for number in range(2):
        since, passes = world.plane.audit_position(), await world.passes()
        await world.kube.merge_patch(
            resources.INSTALLATIONS,
            installed.name,
            {"metadata": {"labels": {"touched": str(number)}}},
            namespace=world.release.namespace,
        )

        async def looked(before: float = passes) -> bool:
            return bool(await world.passes() > before)

        await eventually(looked)
    assert world.writes(since) == []
