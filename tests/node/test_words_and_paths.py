"""Images, ``$(VAR)``, mount paths, quantities: pure rewriting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.node.expansion import MountPaths, expand
from talkdesk_sandbox.node.images import Image, Images, ImageUnknown, image_name
from talkdesk_sandbox.node.quantities import in_units

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)-$(B)", "1-$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $(A", "$A ${A} $(A"),
        ("100$", "100$"),
    ],
)
def test_variables_are_expanded_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("/data", "/pod/data"),
        ("/data/x", "/pod/data/x"),
        ("--dir=/data", "--dir=/pod/data"),
        ("/data:/data/deep/f,'/data'", "/pod/data:/pod/deep/f,'/pod/data'"),
        ("file:///data/x", "file:///pod/data/x"),
        ("sqlite:////data/x.db", "sqlite:////pod/data/x.db"),
        ("/database", "/database"),
        ("/data-2", "/data-2"),
        ("/srv/data", "/srv/data"),
        ("http://host/data", "http://host/data"),
        ("./data", "./data"),
    ],
)
def test_a_mount_path_is_rewritten_where_it_stands_by_itself(text: str, rewritten: str) -> None:
    paths = MountPaths({"/data": "/pod/data", "/data/deep": "/pod/deep"})
    assert paths.rewrite(text) == rewritten


def test_what_was_rewritten_is_not_rewritten_again() -> None:
    paths = MountPaths({"/var": "/var/node/var", "/var/node": "/elsewhere"})
    assert paths.rewrite("/var/a /var/node/b") == "/var/node/var/a /elsewhere/b"


def test_without_mounts_nothing_is_rewritten() -> None:
    assert MountPaths({}).rewrite("/etc/passwd") == "/etc/passwd"
    assert MountPaths({"/": "/pod/root"}).rewrite("/etc/passwd") == "/etc/passwd"


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("app", "app"),
        ("app:1.2", "app"),
        ("registry:5000/team/app", "registry:5000/team/app"),
        ("registry:5000/team/app:1.2@sha256:abc", "registry:5000/team/app"),
        ("docker.io/library/nginx:1", "nginx"),
        ("docker.io/team/app", "team/app"),
    ],
)
def test_an_image_is_known_without_tag_and_digest(reference: str, name: str) -> None:
    assert image_name(reference) == name


def test_a_containers_command_and_args_replace_the_images() -> None:
    image = Image(("entry", "point"), ("default",))
    assert image.argv([], []) == ["entry", "point", "default"]
    assert image.argv([], ["given"]) == ["entry", "point", "given"]
    assert image.argv(["own"], []) == ["own"]
    assert image.argv(["own"], ["given"]) == ["own", "given"]


def test_an_image_added_to_the_file_is_found_at_once(tmp_path: Path) -> None:
    file = tmp_path / "images.json"
    file.write_text("{}")
    images = Images(file)
    with pytest.raises(ImageUnknown, match="'app'"):
        images.find("app:1")
    file.write_text(
        json.dumps({"app": {"command": ["run"], "env": {"A": "1"}}, "at": {"command": [], "folder": "/f"}})
    )
    assert images.find("app:1") == Image(("run",), (), {"A": "1"})
    assert images.find("at").folder == "/f"


def test_an_images_file_that_is_broken_is_named(tmp_path: Path) -> None:
    file = tmp_path / "images.json"
    file.write_text('{"app": {}}')
    with pytest.raises(ImageUnknown, match=r"images\.json"):
        Images(file).find("app")


@pytest.mark.parametrize(
    ("amount", "divisor", "number"),
    [
        ("250m", "1m", "250"),
        ("250m", "1", "1"),
        ("1Gi", "1Mi", "1024"),
        ("2", "0", "2"),
        ("1500k", "1M", "2"),
    ],
)
def test_resources_are_given_in_units_rounded_up(amount: str, divisor: str, number: str) -> None:
    assert in_units(amount, divisor) == number
