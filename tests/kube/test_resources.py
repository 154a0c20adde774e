from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.meta import Model
from talkdesk_crds.user_slice import TalkdeskUserSlice
from talkdesk_kube import resources


def test_a_core_object_lies_below_api_and_an_object_of_a_group_below_apis() -> None:
    assert resources.SECRETS.path(namespace="n", name="s") == "/api/v1/namespaces/n/secrets/s"
    assert (
        resources.APPS.path(namespace="n", name="a", subresource="status")
        == "/apis/talkdesk-operator.io/v1alpha1/namespaces/n/talkdeskapps/a/status"
    )


def test_a_collection_is_of_one_namespace_or_of_all() -> None:
    assert resources.LEASES.path(namespace="n") == "/apis/coordination.k8s.io/v1/namespaces/n/leases"
    assert resources.LEASES.path() == "/apis/coordination.k8s.io/v1/leases"
    assert resources.NAMESPACES.path() == "/api/v1/namespaces"
    assert resources.NAMESPACES.path(name="n") == "/api/v1/namespaces/n"


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "subresource"),
    [
        (resources.SECRETS, None, "s", None),
        (resources.NAMESPACES, "n", "x", None),
        (resources.SECRETS, "n", None, "status"),
        (resources.SECRETS, "n", "", None),
        (resources.SECRETS, "n", "..", None),
        (resources.SECRETS, "..", "s", None),
        (resources.SECRETS, "n", "a/b", None),
    ],
)
def test_parts_that_make_no_path_are_refused(
    resource: resources.Resource, namespace: str | None, name: str | None, subresource: str | None
) -> None:
    with pytest.raises(ValueError, match=r"namespace|name|subresource"):
        resource.path(namespace=namespace, name=name, subresource=subresource)


@given(st.text(min_size=1).filter(lambda name: name not in {".", ".."} and "/" not in name))
def test_no_name_reaches_another_object(name: str) -> None:
    try:
        path = resources.SECRETS.path(namespace="n", name=name)
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    url = URL(f"https://host{path}?x=1", encoded=True)
    assert url.raw_path == path
    assert path.count("/") == 6
    assert url.name == name


def test_every_resource_is_found_by_the_kind_of_its_objects() -> None:
    for resource in resources.RESOURCES:
        obj = {"apiVersion": resource.api_version, "kind": resource.kind}
        assert resources.resource_of(obj) is resource
    assert len({(r.group, r.plural) for r in resources.RESOURCES}) == len(resources.RESOURCES)


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(resources.UnknownKind, match=r"'example.org/v1', kind 'Widget'"):
        resources.resource_of({"apiVersion": "example.org/v1", "kind": "Widget"})


def test_a_model_of_a_kind_knows_its_resource_and_a_part_of_one_does_not() -> None:
    class Part(Model):
        name: str

    assert resources.resource_of_model(TalkdeskApp) is resources.APPS
    assert resources.resource_of_model(TalkdeskUserSlice) is resources.USER_SLICES
    with pytest.raises(resources.UnknownKind, match="Part"):
        resources.resource_of_model(Part)
