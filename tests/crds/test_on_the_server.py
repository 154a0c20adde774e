"""What people and programs get from the kinds on a real API server."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.blueprint import Plan
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.names import API_VERSION
from talkdesk_crds.revocation import USERS_PER_PART, TalkdeskRevocation
from talkdesk_crds.schema.kinds import KINDS, Kind
from talkdesk_crds.user_slice import USERS_PER_SLICE, TalkdeskUserSlice

if TYPE_CHECKING:
    from talkdesk_sandbox.controlplane import ControlPlane

BY_MODEL = {kind.model: kind for kind in KINDS}
APP, INSTALLATION = BY_MODEL[TalkdeskApp], BY_MODEL[TalkdeskInstallation]
SLICE, REVOCATION = BY_MODEL[TalkdeskUserSlice], BY_MODEL[TalkdeskRevocation]


def new(kind: Kind, name: str, /, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": name}, "spec": spec}


def test_the_server_fills_in_defaults(api: Any) -> None:
    installation = api.create(
        INSTALLATION, new(INSTALLATION, "i", appId="a", accountId="b", installationId="c")
    )
    assert installation.body["spec"]["suspend"] is False
    app = api.create(
        APP,
        new(
            APP,
            "a",
            appId="a",
            regions={"eu": {"api": "api.example.com", "identity": "id.example.com"}},
            baseDomain="example.com",
            service={"name": "web", "port": 80},
            template=[],
        ),
    )
    spec = app.body["spec"]
    assert spec["approval"] == {"gate": "WorkloadReady", "patienceSeconds": 86400}
    assert spec["defaultPlan"]["quota"]
    assert spec["defaultPlan"]["containerDefaults"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }
    assert TalkdeskApp.model_validate(app.body).spec.default_plan == Plan()


def test_an_object_nobody_has_looked_at_is_in_progress_for_kstatus(api: Any) -> None:
    obj = new(INSTALLATION, "i", appId="a", accountId="b", installationId="c")
    api.create(INSTALLATION, obj | {"status": {"observedGeneration": 1}})
    stored = api.get(INSTALLATION, "i")
    assert stored["status"] == {"observedGeneration": -1}
    assert stored["metadata"]["generation"] == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_kubectl_shows_every_column(
    kind: Kind, api: Any, sample: Any, control_plane: ControlPlane, namespace: str
) -> None:
    created = api.create(kind, sample(kind)).body
    if kind.has_status:
        status = sample(kind)["status"]
        control_plane.kubectl(
            *("patch", kind.singular, "sample", "-n", namespace, "--subresource=status", "--type=merge"),
            *("-p", json.dumps({"status": status})),
        )
    header, row = control_plane.kubectl("get", kind.short_name, "-n", namespace, "-o", "wide").splitlines()
    assert header.split() == ["NAME", *(column.name.upper() for column in kind.columns)]
    assert row.startswith(created["metadata"]["name"])
    assert "<none>" not in row
    narrow = control_plane.kubectl("get", kind.short_name, "-n", namespace).splitlines()[0]
    assert narrow.split() == ["NAME", *(column.name.upper() for column in kind.columns if not column.wide)]


def test_one_word_lists_all_kinds(api: Any, sample: Any, control_plane: ControlPlane, namespace: str) -> None:
    for kind in KINDS:
        api.create(kind, sample(kind))
    listed = control_plane.kubectl("get", "talkdesk", "-n", namespace, "-o", "name").split()
    assert {name.split(".")[0] for name in listed} == {kind.singular for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_selectable_field_selects(kind: Kind, api: Any, sample: Any) -> None:
    obj = sample(kind)
    api.create(kind, obj)
    for path in kind.selectable:
        field = path.removeprefix(".spec.")
        value = obj["spec"][field]
        assert len(api.list(kind, fieldSelector=f"spec.{field}={value}")) == 1
        assert api.list(kind, fieldSelector=f"spec.{field}={value}x") == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.has_status], ids=lambda kind: kind.name)
def test_status_is_written_through_its_subresource_only(kind: Kind, api: Any, sample: Any) -> None:
    before = api.create(kind, sample(kind)).body
    tried = api.try_update(kind, before | {"status": sample(kind)["status"]})
    assert tried.accepted
    assert tried.body.get("status") == before.get("status")
    written = copy.deepcopy(before) | {"status": sample(kind)["status"]}
    written["spec"] = {**written["spec"], "unknownField": 1}
    answer = api.try_status(kind, written)
    assert answer.body["status"] == sample(kind)["status"]
    assert answer.body["spec"] == before["spec"]


@pytest.mark.parametrize("id_length", [24, 128])
def test_a_revocation_may_name_ten_thousand_users(id_length: int, api: Any) -> None:
    users = [f"{number:x}".rjust(id_length, "u") for number in range(USERS_PER_PART)]
    spec = {"kind": "Removed", "appId": "a", "accountId": "b", "installationId": "c", "users": users}
    answer = api.create(REVOCATION, new(REVOCATION, "big", **spec, cause="e"))
    assert answer.accepted, answer.body
    assert TalkdeskRevocation.model_validate(api.get(REVOCATION, "big")).spec.users == users
    assert api.try_update(REVOCATION, answer.body).accepted
    changed = copy.deepcopy(answer.body)
    changed["spec"]["users"].pop()
    assert api.try_update(REVOCATION, changed).causes == [
        ("spec", "Invalid value: a revocation is immutable")
    ]


def test_a_slice_may_hold_four_hundred_users_of_the_greatest_size(api: Any) -> None:
    user = {"email": "e" * 320, "name": "\u00e5" * 512, "role": "r" * 64, "epoch": "p" * 64}
    users = {f"{number:x}".rjust(128, "u"): user for number in range(USERS_PER_SLICE)}
    answer = api.create(SLICE, new(SLICE, "big", installation="i", buckets=1, bucket=0, users=users))
    assert answer.accepted, answer.body
    stored = TalkdeskUserSlice.model_validate(api.get(SLICE, "big"))
    assert len(stored.spec.users) == USERS_PER_SLICE
    assert len(json.dumps(answer.body["metadata"]["managedFields"])) < 1000
