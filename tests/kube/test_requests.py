from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest

from talkdesk_kube import requests
from talkdesk_kube.resources import CONFIG_MAPS, INSTALLATIONS, NAMESPACES, PODS, SECRETS, UnknownKind


def test_apply_is_a_patch_to_where_the_object_says_it_belongs() -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}}
    request = requests.apply(obj, field_manager="talkdesk-operator/x", force=False)
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/n/configmaps/a")
    assert parse_qs(request.query) == {"fieldManager": ["talkdesk-operator/x"], "force": ["false"]}
    assert request.content_type == "application/apply-patch+yaml"
    assert json.loads(request.data or b"") == obj


def test_a_dry_run_says_so_and_nothing_else_does() -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}}
    assert "dryRun=All" in requests.apply(obj, field_manager="m", dry_run=True).query
    assert "dryRun" not in requests.apply(obj, field_manager="m").query


def test_apply_refuses_a_kind_it_does_not_know_and_an_object_without_its_namespace() -> None:
    with pytest.raises(UnknownKind):
        requests.apply({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}}, field_manager="m")
    with pytest.raises(ValueError, match="needs a namespace"):
        requests.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}, field_manager="m")


def test_delete_sends_only_the_preconditions_it_was_given() -> None:
    plain = requests.delete(SECRETS, "s", namespace="n")
    guarded = requests.delete(SECRETS, "s", namespace="n", uid="u", resource_version="7", grace_seconds=0)
    assert json.loads(plain.data or b"")["preconditions"] == {}
    assert json.loads(guarded.data or b"") == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": "u", "resourceVersion": "7"},
        "gracePeriodSeconds": 0,
    }


def test_create_takes_the_namespace_of_the_object_and_needs_one() -> None:
    assert (
        requests.create(CONFIG_MAPS, {"metadata": {"namespace": "n"}}).path
        == "/api/v1/namespaces/n/configmaps"
    )
    assert requests.create(NAMESPACES, {"metadata": {"name": "n"}}).path == "/api/v1/namespaces"
    with pytest.raises(ValueError, match="needs a namespace"):
        requests.create(CONFIG_MAPS, {"metadata": {"name": "a"}})


def test_create_reaches_subresources() -> None:
    request = requests.create(PODS, {}, namespace="n", name="p", subresource="binding")
    assert request.path == "/api/v1/namespaces/n/pods/p/binding"


def test_a_watch_asks_for_bookmarks_and_an_end() -> None:
    request = requests.watch(INSTALLATIONS, resource_version="5", seconds=0.2, labels="a=b,c in (d)")
    assert request.method == "GET"
    assert parse_qs(request.query) == {
        "watch": ["true"],
        "allowWatchBookmarks": ["true"],
        "resourceVersion": ["5"],
        "labelSelector": ["a=b,c in (d)"],
        "timeoutSeconds": ["1"],
    }


def test_a_request_does_not_show_what_it_sends() -> None:
    request = requests.create(SECRETS, {"stringData": {"a": "canary-77"}}, namespace="n")
    assert b"canary-77" in (request.data or b"")
    assert "canary-77" not in repr(request)
