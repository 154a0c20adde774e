"""The generated CRDs: deterministic, current, structural, bounded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import yaml
from pydantic import ConfigDict, Field

from talkdesk_crds.meta import VALIDATIONS, Model
from talkdesk_crds.schema.__main__ import FOLDERS, drift, main, wanted, write
from talkdesk_crds.schema.crd import crd, schema
from talkdesk_crds.schema.kinds import KINDS, Kind
from talkdesk_crds.schema.structural import UnsupportedSchema, structural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from nodes(node[key], f"{path}[]")


def ours(kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node that is not the API server's own."""
    for name in ("spec", "status") if kind.has_status else ("spec",):
        yield from nodes(schema(kind)["properties"][name], f".{name}")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that passes for a checkout, with current files."""
    (tmp_path / "pyproject.toml").touch()
    write(tmp_path)
    return tmp_path


def test_the_files_of_this_checkout_are_current() -> None:
    assert main(["--check"]) == 0


def test_the_chart_holds_the_same_files() -> None:
    for_kubectl, for_helm = ({p.name: text for p, text in wanted().items() if p.parent == f} for f in FOLDERS)
    assert for_kubectl == for_helm
    assert set(for_kubectl) == {f"{kind.plural}.yaml" for kind in KINDS}


@pytest.mark.processes
def test_two_processes_with_different_hash_seeds_generate_the_same_bytes(tmp_path: Path) -> None:
    texts = []
    for seed in ("1", "2"):
        root = tmp_path / seed
        root.mkdir()
        (root / "pyproject.toml").touch()
        command = [sys.executable, "-m", "talkdesk_crds.schema", "--root", str(root)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        texts.append({path.relative_to(root): path.read_bytes() for path in root.rglob("*.yaml")})
    assert texts[0] == texts[1]
    assert len(texts[0]) == len(KINDS) * len(FOLDERS)


def test_check_names_a_file_that_differs_and_writes_nothing(checkout: Path, capsys: Any) -> None:
    file = checkout / FOLDERS[1] / "talkdeskapps.yaml"
    file.write_text("edited by hand")
    assert main(["--check", "--root", str(checkout)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert drift(checkout) == [f"{FOLDERS[1]}/talkdeskapps.yaml differs from the models"]
    assert file.read_text() == "edited by hand"


def test_check_names_a_missing_file_and_one_of_a_kind_that_is_gone(checkout: Path) -> None:
    (checkout / "crds/talkdeskapps.yaml").rename(checkout / "crds/talkdeskolds.yaml")
    assert drift(checkout) == [
        "crds/talkdeskapps.yaml is missing",
        "crds/talkdeskolds.yaml belongs to no kind",
    ]
    write(checkout)
    assert drift(checkout) == []


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["--root", str(tmp_path)])
    assert "--root" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@each_kind
def test_every_node_has_a_type_and_only_keywords_of_structural_schemas(kind: Kind) -> None:
    allowed = {
        *(
            "description",
            "type",
            "enum",
            "default",
            "required",
            "properties",
            "items",
            "additionalProperties",
        ),
        *("minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems"),
        *("minProperties", "maxProperties", VALIDATIONS, "x-kubernetes-preserve-unknown-fields"),
        *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
    }
    for path, node in nodes(schema(kind)):
        assert "type" in node, path
        assert node.keys() <= allowed, path
        assert not ("properties" in node and "additionalProperties" in node), path


@each_kind
def test_everything_that_can_grow_has_a_limit(kind: Kind) -> None:
    for path, node in ours(kind):
        if node["type"] == "string":
            assert "maxLength" in node or "enum" in node, path
        if node["type"] == "array":
            assert "maxItems" in node, path
            assert node["x-kubernetes-list-type"] in {"atomic", "map", "set"}, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path
            assert any(rule["rule"].startswith("self.all(key") for rule in node[VALIDATIONS]), path
        if node["type"] == "integer" and VALIDATIONS not in node:
            assert {"minimum", "maximum"} <= node.keys(), path


@each_kind
def test_columns_and_selectable_fields_name_fields_of_the_schema(kind: Kind) -> None:
    known = {path for path, _ in ours(kind)} | {".metadata.creationTimestamp"}
    for column in kind.columns:
        path = re.sub(r'\[\?\(@\.type=="[A-Za-z]+"\)\]', "[]", column.path)
        assert path.replace("[0]", "[]") in known, column
    assert set(kind.selectable) <= known


@each_kind
def test_conditions_are_a_list_map_by_type(kind: Kind) -> None:
    conditions = dict(ours(kind)).get(".status.conditions")
    if conditions is not None:
        assert conditions["x-kubernetes-list-type"] == "map"
        assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_the_written_yaml_says_what_the_generator_says() -> None:
    files = wanted()
    for kind in KINDS:
        (text,) = {files[folder / f"{kind.plural}.yaml"] for folder in FOLDERS}
        assert yaml.safe_load(text) == crd(kind)


def test_names_are_those_that_people_type() -> None:
    assert [(crd(kind)["spec"]["names"]["plural"], kind.short_name) for kind in KINDS] == [
        ("talkdeskapps", "tda"),
        ("talkdeskinstallations", "tdi"),
        ("talkdeskuserslices", "tdus"),
        ("talkdeskrevocations", "tdr"),
    ]
    assert all(crd(kind)["spec"]["names"]["categories"] == ["talkdesk"] for kind in KINDS)


def test_what_a_structural_schema_cannot_say_is_an_error_that_names_the_field() -> None:
    class Inner(Model):
        either: int | str

    class Outer(Model):
        inner: list[Inner]

    with pytest.raises(UnsupportedSchema, match=r"Outer\.inner\[\]\.either.*anyOf"):
        structural(Outer)


def test_an_optional_part_with_a_description_of_its_own_keeps_it_and_both_sets_of_rules() -> None:
    rule = {"rule": "self.a != 'x'", "message": "m"}

    class Part(Model):
        """The part."""

        model_config = ConfigDict(json_schema_extra={VALIDATIONS: [rule]})
        a: Annotated[str, Field(max_length=1)]

    class Whole(Model):
        part: Annotated[
            Part | None, Field(description="mine", json_schema_extra={VALIDATIONS: [rule | {"message": "n"}]})
        ] = None

    node = structural(Whole)["properties"]["part"]
    assert node["description"] == "mine"
    assert [entry["message"] for entry in node[VALIDATIONS]] == ["m", "n"]
    assert "part" not in structural(Whole).get("required", [])
