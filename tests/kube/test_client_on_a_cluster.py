from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from talkdesk_kube import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    Kube,
    KubeError,
    KubeSettings,
    NotFound,
    Resource,
    Unauthorized,
    Unreachable,
)
from talkdesk_kube.resources import (
    APPS,
    CONFIG_MAPS,
    EVENTS,
    NAMESPACES,
    PODS,
    REVOCATIONS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
)

if TYPE_CHECKING:
    from pathlib import Path

    from talkdesk_sandbox.controlplane import ControlPlane


def config_map(name: str, namespace: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


async def test_an_object_is_created_read_listed_patched_and_deleted(kube: Kube, namespace: str) -> None:
    made = await kube.create(CONFIG_MAPS, config_map("a", namespace, x="1"))
    assert (await kube.get(CONFIG_MAPS, "a", namespace=namespace))["data"] == {"x": "1"}

    patch = {
        "metadata": {"resourceVersion": made["metadata"]["resourceVersion"]},
        "data": {"x": None, "y": "2"},
    }
    patched = await kube.merge_patch(CONFIG_MAPS, "a", patch, namespace=namespace)
    assert patched["data"] == {"y": "2"}

    listing = await kube.list(CONFIG_MAPS, namespace=namespace, fields="metadata.name=a")
    assert [(item["kind"], item["apiVersion"], item["data"]) for item in listing.items] == [
        ("ConfigMap", "v1", {"y": "2"})
    ]
    assert int(listing.resource_version) >= int(patched["metadata"]["resourceVersion"])

    await kube.delete(CONFIG_MAPS, "a", namespace=namespace, uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await kube.get(CONFIG_MAPS, "a", namespace=namespace)


async def test_the_api_servers_clock_is_known_from_its_answers(kube: Kube, namespace: str) -> None:
    made = await kube.create(CONFIG_MAPS, config_map("dated", namespace))
    created = datetime.fromisoformat(made["metadata"]["creationTimestamp"])
    known = kube.server_time
    assert known is not None
    assert timedelta(seconds=-1) <= known - created < timedelta(seconds=30)


async def test_apply_creates_changes_and_takes_away_what_it_owned(kube: Kube, namespace: str) -> None:
    strange = "😀 \\ud83d\\ude00 \x7f\x85 \\😀"
    first = await kube.apply(config_map("a", namespace, x=strange, y="1"), field_manager="m")
    assert first["data"] == {"x": strange, "y": "1"}
    second = await kube.apply(config_map("a", namespace, x=strange), field_manager="m")
    assert second["data"] == {"x": strange}


async def test_applying_the_same_again_writes_nothing(kube: Kube, namespace: str) -> None:
    first = await kube.apply(config_map("a", namespace, x="1"), field_manager="m")
    second = await kube.apply(config_map("a", namespace, x="1"), field_manager="m")
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_apply_without_force_names_the_fields_of_another_manager(kube: Kube, namespace: str) -> None:
    await kube.apply(config_map("a", namespace, x="1"), field_manager="one")
    with pytest.raises(Conflict) as caught:
        await kube.apply(config_map("a", namespace, x="2"), field_manager="two", force=False)
    assert [cause.field for cause in caught.value.status.causes] == [".data.x"]
    forced = await kube.apply(config_map("a", namespace, x="2"), field_manager="two")
    assert forced["data"] == {"x": "2"}


async def test_a_list_longer_than_a_page_is_complete(kube: Kube, namespace: str) -> None:
    async def fill(number: int) -> None:
        for index in range(number, 530, 10):
            await kube.create(SERVICE_ACCOUNTS, {"metadata": {"name": f"s{index}"}}, namespace=namespace)

    await asyncio.gather(*(fill(number) for number in range(10)))
    listing = await kube.list(SERVICE_ACCOUNTS, namespace=namespace)
    names = {item["metadata"]["name"] for item in listing.items}
    assert {f"s{index}" for index in range(530)} <= names


async def test_creating_twice_is_told_apart_from_other_conflicts(kube: Kube, namespace: str) -> None:
    made = await kube.create(CONFIG_MAPS, config_map("a", namespace))
    with pytest.raises(AlreadyExists):
        await kube.create(CONFIG_MAPS, config_map("a", namespace))
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"x": "1"}}
    await kube.merge_patch(CONFIG_MAPS, "a", stale, namespace=namespace)
    with pytest.raises(Conflict, match="modified"):
        await kube.merge_patch(CONFIG_MAPS, "a", stale, namespace=namespace)
    with pytest.raises(Conflict):
        await kube.delete(CONFIG_MAPS, "a", namespace=namespace, uid="another")
    with pytest.raises(Conflict):
        await kube.delete(
            CONFIG_MAPS, "a", namespace=namespace, resource_version=made["metadata"]["resourceVersion"]
        )


async def test_an_invalid_object_names_its_fields(kube: Kube, namespace: str) -> None:
    spec = {"clusterIP": "x", "ports": [{"port": 80}]}
    with pytest.raises(Invalid) as caught:
        await kube.create(SERVICES, {"metadata": {"name": "a"}, "spec": spec}, namespace=namespace)
    assert [cause.field for cause in caught.value.status.causes] == ["spec.clusterIPs[0]"]
    assert not caught.value.transient


async def test_a_kind_of_ours_is_held_to_its_schema(kube: Kube, namespace: str) -> None:
    with pytest.raises(Invalid) as caught:
        await kube.create(
            REVOCATIONS,
            {
                "apiVersion": REVOCATIONS.api_version,
                "kind": REVOCATIONS.kind,
                "metadata": {"name": "a"},
                "spec": {"kind": "Nonsense"},
            },
            namespace=namespace,
        )
    assert "spec.kind" in {cause.field for cause in caught.value.status.causes}


async def test_strict_validation_refuses_an_unknown_field(kube: Kube, namespace: str) -> None:
    wrong = config_map("a", namespace) | {"dta": {}}
    with pytest.raises(KubeError, match='unknown field "dta"'):
        await kube.create(CONFIG_MAPS, wrong, field_validation="Strict")
    assert "dta" not in await kube.create(CONFIG_MAPS, wrong)


async def test_a_refused_secret_is_not_quoted(kube: Kube, namespace: str) -> None:
    for content in ({"data": {"a": "canary-4!"}}, {"stringData": {"canary 4": "x"}}):
        with pytest.raises(KubeError) as caught:
            await kube.create(SECRETS, {"metadata": {"name": "a"}, **content}, namespace=namespace)
        assert "canary-4" not in str(caught.value) + repr(caught.value)


async def account(kube: Kube, control_plane: ControlPlane, namespace: str, *rules: dict[str, Any]) -> Path:
    await kube.create(SERVICE_ACCOUNTS, {"metadata": {"name": "limited"}}, namespace=namespace)
    await kube.create(ROLES, {"metadata": {"name": "r"}, "rules": list(rules)}, namespace=namespace)
    await kube.create(
        ROLE_BINDINGS,
        {
            "metadata": {"name": "r"},
            "roleRef": {"apiGroup": ROLES.group, "kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "limited", "namespace": namespace}],
        },
        namespace=namespace,
    )
    return control_plane.kubeconfig_for("limited", namespace)


async def test_a_service_account_is_held_to_its_role(
    kube: Kube, control_plane: ControlPlane, namespace: str
) -> None:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    path = await account(kube, control_plane, namespace, rule)
    async with await Kube.connect(KubeSettings(kubeconfig=path), user_agent="test") as limited:
        await limited.create(CONFIG_MAPS, config_map("a", namespace))
        with pytest.raises(Forbidden) as caught:
            await limited.get(CONFIG_MAPS, "a", namespace=namespace)
        assert not caught.value.transient


async def test_a_token_nobody_signed_is_refused(control_plane: ControlPlane, tmp_path: Path) -> None:
    document = yaml.safe_load(control_plane.kubeconfig.read_text())
    for user in document["users"]:
        user["user"] = {"token": "forged"}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(document))
    async with await Kube.connect(KubeSettings(kubeconfig=path), user_agent="test") as stranger:
        with pytest.raises(Unauthorized):
            await stranger.list(NAMESPACES)


async def test_nothing_can_be_made_in_a_namespace_on_its_way_out(kube: Kube, namespace: str) -> None:
    await kube.create(
        CONFIG_MAPS,
        config_map("a", namespace) | {"metadata": {"name": "a", "finalizers": ["example.org/x"]}},
        namespace=namespace,
    )
    await kube.delete(NAMESPACES, namespace)
    with pytest.raises(Forbidden) as caught:
        await kube.create(CONFIG_MAPS, config_map("b", namespace))
    assert caught.value.namespace_terminating
    assert caught.value.transient
    await kube.merge_patch(CONFIG_MAPS, "a", {"metadata": {"finalizers": None}}, namespace=namespace)


async def test_a_list_of_metadata_leaves_the_content_of_secrets_with_the_server(
    kube: Kube, namespace: str
) -> None:
    metadata = {"name": "kept", "labels": {"is": "secret"}}
    content = {"stringData": {"key": "hunter2"}}
    await kube.create(SECRETS, {"metadata": metadata, **content}, namespace=namespace)
    listing = await kube.list(SECRETS, namespace=namespace, labels="is", metadata_only=True)
    (item,) = listing.items
    assert item["metadata"]["name"] == "kept"
    assert item["metadata"]["uid"]
    assert "data" not in item
    assert listing.resource_version


async def test_the_answer_to_a_patch_can_leave_the_content_of_a_secret_with_the_server(
    kube: Kube, namespace: str
) -> None:
    secret = {"metadata": {"name": "kept"}, "stringData": {"key": "hunter2"}}
    await kube.create(SECRETS, secret, namespace=namespace)
    found = await kube.merge_patch(SECRETS, "kept", {}, namespace=namespace, metadata_only=True)
    assert (found["kind"], found["metadata"]["name"]) == ("PartialObjectMetadata", "kept")
    assert not found.keys() & {"data", "type"}


async def test_a_watch_shows_what_came_after_the_list(kube: Kube, namespace: str) -> None:
    listing = await kube.list(PODS, namespace=namespace)
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await kube.create(PODS, pod, namespace=namespace)
    await kube.merge_patch(PODS, "p", {"metadata": {"labels": {"a": "b"}}}, namespace=namespace)
    await kube.delete(PODS, "p", namespace=namespace, grace_seconds=0)
    seen: list[str] = []
    events = kube.watch(PODS, namespace=namespace, resource_version=listing.resource_version)
    async with aclosing(events):
        async for event in events:
            seen.append(event.type)
            if event.type == "DELETED":
                break
    assert seen[0] == "ADDED"
    assert set(seen[1:-1]) == {"MODIFIED"}


async def test_a_watch_from_too_long_ago_is_gone(kube: Kube, namespace: str) -> None:
    with pytest.raises(Gone):
        await anext(kube.watch(APPS, namespace=namespace, resource_version="1"))


async def test_the_server_ends_a_watch_after_its_time(kube: Kube, namespace: str) -> None:
    listing = await kube.list(EVENTS, namespace=namespace)
    events = kube.watch(EVENTS, namespace=namespace, resource_version=listing.resource_version, timeout=1)
    assert {event.type async for event in events} <= {"BOOKMARK"}


async def test_a_kind_the_server_does_not_serve_is_not_found(kube: Kube, namespace: str) -> None:
    widgets = Resource("example.org", "v1", "widgets", "Widget")
    with pytest.raises(NotFound, match="404"):
        await kube.list(widgets, namespace=namespace)


async def test_a_server_that_is_not_there_is_unreachable(relay: Any) -> None:
    async with await Kube.connect(KubeSettings(kubeconfig=relay.kubeconfig), user_agent="test") as kube:
        assert (await kube.list(NAMESPACES)).items
        relay.go_down()
        with pytest.raises(Unreachable):
            await kube.create(NAMESPACES, {"metadata": {"name": "never-made"}})


async def test_fifty_requests_at_once_are_all_answered(kube: Kube, namespace: str) -> None:
    names = [f"m{index}" for index in range(50)]
    await asyncio.gather(*(kube.create(CONFIG_MAPS, config_map(name, namespace)) for name in names))
    found = await asyncio.gather(*(kube.get(CONFIG_MAPS, name, namespace=namespace) for name in names))
    assert [obj["metadata"]["name"] for obj in found] == names
