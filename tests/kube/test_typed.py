from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_kube import Kube, NotFound, Unreadable, listing, parse, read
from talkdesk_kube.resources import REVOCATIONS

if TYPE_CHECKING:
    from talkdesk_kube import Obj


def revocation(name: str) -> Obj:
    return {
        "apiVersion": "talkdesk-operator.io/v1alpha1",
        "kind": "TalkdeskRevocation",
        "metadata": {"name": name, "labels": {"n": name}},
        "spec": {
            "kind": "SignedOut",
            "appId": "app",
            "accountId": "account",
            "installationId": "i",
            "users": ["u1"],
            "cause": "event",
        },
    }


async def test_our_kinds_are_read_as_their_models(kube: Kube, namespace: str) -> None:
    for name in ("a", "b"):
        await kube.create(REVOCATIONS, revocation(name), namespace=namespace)
    one = await read(kube, TalkdeskRevocation, "a", namespace=namespace)
    assert one.spec.users == ["u1"]
    assert one.metadata.namespace == namespace
    found = await listing(kube, TalkdeskRevocation, namespace=namespace, labels="n=b")
    assert [item.metadata.name for item in found] == ["b"]
    with pytest.raises(NotFound):
        await read(kube, TalkdeskRevocation, "c", namespace=namespace)


def test_an_object_its_model_refuses_is_named_with_the_fields_and_without_their_values() -> None:
    broken: Any = revocation("a")
    broken["metadata"]["namespace"] = "n"
    broken["spec"]["kind"] = "canary-9"
    with pytest.raises(Unreadable, match=r"TalkdeskRevocation n/a: spec\.kind: ") as caught:
        parse(TalkdeskRevocation, broken)
    assert "canary-9" not in str(caught.value)
