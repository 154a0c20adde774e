"""For each field and each rule of the schema, one object that the API server refuses for that alone.

The table is made from the schema: a new field or keyword is in it at once, and a keyword or a rule in CEL
that nobody has taught this file to break fails the collection.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from samples import sample_of
from talkdesk_crds.meta import VALIDATIONS
from talkdesk_crds.schema.crd import schema
from talkdesk_crds.schema.kinds import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Path_ = tuple[str | int, ...]

#: Where the kind has objects of a tenant's template. Their ``metadata.namespace`` is declared only so that a
#: rule in CEL can refuse it: no valid object has it.
TEMPLATE_OBJECTS: tuple[Path_, ...] = (
    ("spec", "template", 0),
    ("spec", "variants", 0, "template", 0),
    ("spec", "sampleData"),
)
#: Keywords that refuse nothing.
SILENT = {
    *("description", "default", "properties", "additionalProperties", "items", "x-kubernetes-map-type"),
    *("x-kubernetes-list-map-keys", "x-kubernetes-preserve-unknown-fields"),
}
WRONG_TYPE = {"object": "text", "array": "text", "string": 7, "integer": "7", "boolean": "true"}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An edit of a kind's sample object that breaks one rule.

    :param path: the node that carries the rule.
    :param rule: the keyword, or the rule in CEL.
    :param edit: changes an object in place.
    :param field: what the server must blame.
    :param transition: the rule compares with the stored object.
    """

    kind: Kind
    path: Path_
    rule: str
    edit: Callable[[dict[str, Any]], None]
    field: str
    transition: bool = False

    def __str__(self) -> str:
        return f"{self.kind.name}.{dotted(self.path)}: {self.rule}"


def dotted(path: Path_) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def at(obj: Any, path: Path_) -> Any:
    for part in path:
        obj = obj[part]
    return obj


def put(path: Path_, value: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """An edit that replaces what stands at ``path`` by ``value`` of it."""

    def edit(obj: dict[str, Any]) -> None:
        parent = at(obj, path[:-1])
        parent[path[-1]] = value(parent[path[-1]])

    return edit


def drop(path: Path_) -> Callable[[dict[str, Any]], None]:
    def edit(obj: dict[str, Any]) -> None:
        del at(obj, path[:-1])[path[-1]]

    return edit


#: CEL rules over several fields: (kind, node, rule) → (edit, field that is blamed). A rule over one scalar or
#: over a map's keys is broken by `rule_refusals` itself.
RULES: dict[tuple[str, str, str], tuple[Callable[[dict[str, Any]], None], str]] = {
    ("TalkdeskApp", "spec.approval", "!has(self.probe) || self.gate == 'WorkloadReady'"): (
        put(("spec", "approval", "gate"), lambda _: "NamespaceReady"),
        "spec.approval.probe",
    ),
    ("TalkdeskApp", "spec", "!has(self.sampleData) || self.sampleData.kind == 'Job'"): (
        put(("spec", "sampleData"), lambda job: job | {"kind": "Service", "apiVersion": "v1"}),
        "spec.sampleData",
    ),
    ("TalkdeskApp", "spec", "!has(self.namespaceLabels)"): (
        put(("spec", "namespaceLabels"), lambda _: {"pod-security.kubernetes.io/enforce": "privileged"}),
        "spec.namespaceLabels",
    ),
    ("TalkdeskApp", "spec", "!has(self.launchHost)"): (
        put(("spec", "launchHost"), lambda _: "0123456789abcdef0123.apps.example.com"),
        "spec.launchHost",
    ),
    ("TalkdeskInstallation", "spec", "!has(oldSelf.region) || has(self.region)"): (
        drop(("spec", "region")),
        "spec.region",
    ),
    ("TalkdeskUserSlice", "spec", "self.bucket < self.buckets"): (
        put(("spec", "bucket"), lambda _: 4),
        "spec.bucket",
    ),
    ("TalkdeskUserSlice", "spec.buckets", "self in [1, 2, 4"): (
        put(("spec", "buckets"), lambda _: 6),
        "spec.buckets",
    ),
    ("TalkdeskRevocation", "spec", "self == oldSelf"): (put(("spec", "users"), lambda _: ["other"]), "spec"),
}


for _path in TEMPLATE_OBJECTS:
    _where = dotted(_path)
    RULES["TalkdeskApp", _where, "!has(self.metadata.namespace)"] = (
        put((*_path, "metadata"), lambda meta: meta | {"namespace": "kube-system"}),
        f"{_where}.metadata.namespace",
    )
    RULES["TalkdeskApp", _where, "self.apiVersion + '/' + self.kind in"] = (
        put((*_path, "apiVersion"), lambda _: "apps/v2"),
        f"{_where}.kind",
    )


def other(value: Any) -> Any:
    """Another valid value of an immutable scalar."""
    return value * 2 if isinstance(value, int) else f"{value}x"


def long_text(node: dict[str, Any]) -> str:
    """A string one character too long, legal otherwise where the pattern allows one."""
    most = node["maxLength"] + 1
    candidates = ["a" * most, "A" * most, "1" * most, "/" * most, "https://".ljust(most, "a")]
    pattern = node.get("pattern", "")
    return next((text for text in candidates if re.search(pattern, text)), candidates[0])


def bad_text(node: dict[str, Any]) -> str:
    """A string of a legal length that the pattern refuses."""
    fits = range(node.get("minLength", 0), node["maxLength"] + 1)
    candidates = [" ", "\u00e9", "a b", "-a-", "", "a\tb"]
    return next(text for text in candidates if len(text) in fits and not re.search(node["pattern"], text))


def many(node: dict[str, Any], items: list[Any]) -> list[Any]:
    """One entry too many, no two with the same key."""
    count = node["maxItems"] + 1
    if node.get("x-kubernetes-list-type") == "set":
        return [f"{items[0]}{number}" for number in range(count)]
    if node.get("x-kubernetes-list-type") != "map":
        return items * count
    key = node["x-kubernetes-list-map-keys"][-1]
    letter = "A" if items[0][key][0].isupper() else "a"
    return [items[0] | {key: items[0][key] + letter * number} for number in range(count)]


def many_keys(most: int, entries: dict[str, Any]) -> dict[str, Any]:
    first = next(iter(entries.values()))
    return {f"k{number}": first for number in range(most + 1)}


def keyword_refusals(kind: Kind, path: Path_, node: dict[str, Any]) -> Iterator[Refusal]:
    """One refusal for each keyword of a node, but for its rules in CEL."""

    def refusal(rule: str, value: Callable[[Any], Any]) -> Refusal:
        return Refusal(kind=kind, path=path, rule=rule, edit=put(path, value), field=dotted(path))

    edits: dict[str, Callable[[Any], Any]] = {
        "type": lambda _: WRONG_TYPE[node["type"]],
        "enum": lambda _: "Nonsense",
        "minLength": lambda _: "",
        "maxLength": lambda _: long_text(node),
        "pattern": lambda _: bad_text(node),
        "minimum": lambda _: node["minimum"] - 1,
        "maximum": lambda _: node["maximum"] + 1,
        "minItems": lambda _: [],
        "maxItems": lambda items: many(node, items),
        "minProperties": lambda _: {},
        "maxProperties": lambda entries: many_keys(node["maxProperties"], entries),
    }
    for keyword in sorted(node.keys() - SILENT - {VALIDATIONS, "required", "x-kubernetes-list-type"}):
        yield refusal(keyword, edits[keyword])
    if node.get("x-kubernetes-list-type") in ("map", "set"):
        doubled = put(path, lambda items: [items[0], copy.deepcopy(items[0])])
        yield Refusal(kind=kind, path=path, rule="two of a key", edit=doubled, field=f"{dotted(path)}[1]")
    for name in node.get("required", []):
        field = (*path, name)
        yield Refusal(kind=kind, path=path, rule=f"required {name}", edit=drop(field), field=dotted(field))


def rule_refusals(kind: Kind, path: Path_, node: dict[str, Any]) -> Iterator[Refusal]:
    """A refusal for each rule in CEL; three for a rule over a map's keys."""
    for entry in node.get(VALIDATIONS, []):
        rule = entry["rule"]
        if keys := re.match(r"self\.all\(key, (.*)\)$", rule):
            for part in keys[1].split(" && "):
                key = (
                    ""
                    if ">=" in part
                    else "\u00e9 "
                    if "matches" in part
                    else "a" * (int(part.split()[-1]) + 1)
                )
                edit = put(path, lambda entries, key=key: {key: next(iter(entries.values()))})
                yield Refusal(kind=kind, path=path, rule=part, edit=edit, field=dotted(path))
        elif rule == "self == oldSelf" and node["type"] != "object":
            edit = put(path, other)
            yield Refusal(kind=kind, path=path, rule=rule, edit=edit, field=dotted(path), transition=True)
        else:
            known = [
                found
                for (name, where, start), found in RULES.items()
                if (name, where) == (kind.name, dotted(path)) and rule.startswith(start)
            ]
            assert len(known) == 1, f"teach this file to break {kind.name}.{dotted(path)}: {rule}"
            edit, field = known[0]
            yield Refusal(
                kind=kind, path=path, rule=rule, edit=edit, field=field, transition="oldSelf" in rule
            )


def nodes(node: dict[str, Any], value: Any, path: Path_) -> Iterator[tuple[Path_, dict[str, Any]]]:
    """Every node of the schema, each at a place where the sample has a value for it."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        if (path[:-1] in TEMPLATE_OBJECTS) and (path[-1], name) == ("metadata", "namespace"):
            continue
        assert name in value, f"the sample has no {dotted((*path, name))}"
        yield from nodes(child, value[name], (*path, name))
    if "additionalProperties" in node:
        key = next(iter(value))
        yield from nodes(node["additionalProperties"], value[key], (*path, key))
    if "items" in node:
        yield from nodes(node["items"], value[0], (*path, 0))


def refusals() -> Iterator[Refusal]:
    for kind in KINDS:
        parts = schema(kind)["properties"]
        for part in ("spec", "status") if kind.has_status else ("spec",):
            for path, node in nodes(parts[part], sample_of(kind.singular)[part], (part,)):
                yield from keyword_refusals(kind, path, node)
                yield from rule_refusals(kind, path, node)
        yield Refusal(kind=kind, path=(), rule="required spec", edit=drop(("spec",)), field="spec")


TABLE = list(refusals())


def spoilt(refusal: Refusal) -> dict[str, Any]:
    obj = sample_of(refusal.kind.singular)
    refusal.edit(obj)
    return obj


def test_the_table_breaks_every_rule_in_cel_and_no_rule_that_is_gone() -> None:
    broken = {(entry.kind.name, dotted(entry.path), entry.rule) for entry in TABLE}
    for kind, path, start in RULES:
        assert any((kind, path) == (k, p) and rule.startswith(start) for k, p, rule in broken), (
            kind,
            path,
            start,
        )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_unspoilt_sample_is_accepted(kind: Kind, api: Any) -> None:
    obj = sample_of(kind.singular)
    created = api.create(kind, obj)
    assert created.accepted, created.body
    kind.model.model_validate(obj)
    if kind.has_status:
        stored = obj | {"metadata": created.body["metadata"]}
        answer = api.try_status(kind, stored)
        assert answer.accepted, answer.body
        assert answer.body["status"] == obj["status"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_rule_of_a_kind_refuses_an_object_for_that_alone(kind: Kind, api: Any) -> None:
    stored = api.create(kind, sample_of(kind.singular)).body
    faults = []
    for entry in TABLE:
        if entry.kind is not kind:
            continue
        obj = spoilt(entry)
        if entry.transition:
            answer = api.try_update(kind, obj | {"metadata": stored["metadata"]})
        elif entry.path[:1] == ("status",):
            answer = api.try_status(kind, obj | {"metadata": stored["metadata"]})
        else:
            answer = api.try_create(kind, obj | {"metadata": {"name": "spoilt"}})
        # A map's key stands in brackets where a rule in CEL is to blame, and behind a dot elsewhere.
        blamed = {re.sub(r"\[([A-Za-z][^\]]*)\]", r".\1", field) for field, _ in answer.causes}
        if answer.code != 422 or blamed != {entry.field}:
            faults.append(
                f"{entry}: {answer.code}, blamed {sorted(blamed)}, not {entry.field}: {answer.body}"
            )
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("entry", [entry for entry in TABLE if not entry.transition], ids=str)
def test_the_model_refuses_what_the_rule_refuses(entry: Refusal) -> None:
    with pytest.raises(ValidationError):
        entry.kind.model.model_validate(spoilt(entry))


def test_a_spoilt_object_differs_from_the_sample() -> None:
    for entry in TABLE:
        assert spoilt(entry) != sample_of(entry.kind.singular), entry
