"""A model accepts an object exactly when the API server accepts it under the schema made from that model."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from talkdesk_crds.meta import VALIDATIONS, Model
from talkdesk_crds.names import API_VERSION
from talkdesk_crds.schema.crd import schema
from talkdesk_crds.schema.kinds import KINDS, Kind
from talkdesk_crds.template import TEMPLATE_KINDS

EXAMPLES = 600
#: Lists whose entries have a key, at most one of each.
UNIQUE = (
    ("conditions", lambda entry: entry["type"]),
    ("variants", lambda entry: entry["appVersion"]),
    ("generatedSecrets", lambda entry: entry["name"]),
    ("copies", lambda entry: (entry["kind"], entry["name"])),
    ("imagePullSecrets", lambda entry: entry),
)
#: Each kind's spec, and its status where it has one: the server validates them in different requests.
PARTS = {kind: ("spec", "status") if kind.has_status else ("spec",) for kind in KINDS}
JUNK = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 2, 3, 99, 100, 65535, 65536, 10**15, 1.0, 0.0, 1.5, 1e300),
        *("", " ", "a", "1", "true", "True", "A", "a" * 64, "a" * 300, "\u00e9", "x\n", "\U0001f600" * 65),
        *("2026-02-30T10:00:00Z", "2026-02-30T10:00:00.000000Z", "2026-02-30T24:00:00Z", "v1", "Service"),
        *([], [None], ["a"], [1], {}, {"a": None}, {"a": "b"}, {"": {}}, {"a": {}}, {"a": {"epoch": "e"}}),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def text(node: dict[str, Any]) -> st.SearchStrategy[str]:
    most = node.get("maxLength", 64)
    if "pattern" not in node:
        return st.text(min_size=node.get("minLength", 0), max_size=min(most, 12))
    return st.from_regex(node["pattern"], fullmatch=True, alphabet=st.characters(codec="ascii")).filter(
        lambda found: len(found) <= most
    )


def keys(node: dict[str, Any]) -> st.SearchStrategy[str]:
    rules = " ".join(entry["rule"] for entry in node.get(VALIDATIONS, []))
    pattern = re.search(r"key\.matches\(r'([^']*)'\)", rules)
    limits = {"minLength": 1, "maxLength": 12}
    return text(limits | ({"pattern": pattern[1]} if pattern else {}))


def valid(node: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that keep to the schema, but for rules that span several fields (see `mended`)."""
    if "enum" in node:
        return st.sampled_from(node["enum"])
    makers = {
        "string": text,
        "boolean": lambda _: st.booleans(),
        "integer": lambda node: st.integers(node.get("minimum", 1), node.get("maximum", 64)),
        "array": valid_list,
        "object": valid_map if "additionalProperties" in node else valid_object,
    }
    return makers[node["type"]](node)


def valid_list(node: dict[str, Any]) -> st.SearchStrategy[Any]:
    least = node.get("minItems", 0)
    return st.lists(valid(node["items"]), min_size=least, max_size=least + 2)


def valid_map(node: dict[str, Any]) -> st.SearchStrategy[Any]:
    least = node.get("minProperties", 0)
    entries = valid(node["additionalProperties"])
    return st.dictionaries(keys(node), entries, min_size=least, max_size=least + 2)


def valid_object(node: dict[str, Any]) -> st.SearchStrategy[Any]:
    fields = {name: valid(child) for name, child in node.get("properties", {}).items()}
    required = {name: fields.pop(name) for name in node.get("required", [])}
    return st.fixed_dictionaries(required, optional=fields)


def mended(part: dict[str, Any], draw: Any) -> None:
    """Make a generated part keep to the rules that span several fields, in place."""
    variants = [one for one in part.get("variants", []) if "template" in one]
    for template in (*part.get("template", []), *(inner for one in variants for inner in one["template"])):
        template["kind"], template["apiVersion"] = draw(st.sampled_from(sorted(TEMPLATE_KINDS.items())))
        template["metadata"].pop("namespace", None)
        template.update(draw(st.dictionaries(st.sampled_from(["spec", "data", "type"]), JSON, max_size=2)))
    if "sampleData" in part:
        part["sampleData"].update(kind="Job", apiVersion="batch/v1")
        part["sampleData"]["metadata"].pop("namespace", None)
    for name, key in UNIQUE:
        if name in part:
            part[name] = list({key(entry): entry for entry in part[name]}.values())
    approval = part.get("approval")
    if isinstance(approval, dict) and approval.get("gate") == "NamespaceReady":
        approval.pop("probe", None)
    if "bucket" in part:
        part["buckets"] = draw(st.sampled_from([1, 2, 64, 65536]))
        part["bucket"] %= part["buckets"]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    found = []
    for key, inner in entries:
        found += [(value, key), *places(inner)]
    return found


def spoil(part: dict[str, Any], draw: Any) -> None:
    """Change one thing in place, which may or may not matter."""
    container, key = draw(st.sampled_from(places(part) or [(part, "unknown")]))
    what = draw(st.sampled_from(["junk", "junk", "drop", "null", "unknown", "snake", "bump"]))
    old = container[key] if isinstance(container, list) or key in container else None
    if what == "junk":
        container[key] = draw(JUNK)
    elif what == "drop":
        container.pop(key, None) if isinstance(container, dict) else container.pop(key)
    elif what == "null":
        container[key] = None
    elif what == "unknown" and isinstance(container, dict):
        container["unknownField"] = draw(JSON)
    elif what == "snake" and isinstance(container, dict):
        container[re.sub("([A-Z])", r"_\1", str(key)).lower()] = container.pop(key, None)
    elif isinstance(old, bool):
        container[key] = str(old).lower()
    elif isinstance(old, int):
        container[key] = draw(st.sampled_from([old + 1, -old - 1, float(old), str(old), old * 10**6]))
    elif isinstance(old, str):
        container[key] = draw(st.sampled_from([old + " ", old * 40, old.upper(), old + "\n", [old]]))
    else:
        container[key] = [old]


@functools.cache
def generated(kind: Kind, part: str) -> st.SearchStrategy[dict[str, Any]]:
    return valid(schema(kind)["properties"][part])


@st.composite
def parts(draw: Any) -> tuple[Kind, str, dict[str, Any]]:
    kind = draw(st.sampled_from(KINDS))
    name = draw(st.sampled_from(PARTS[kind]))
    part = draw(generated(kind, name))
    mended(part, draw)
    if draw(st.integers(0, 9)) < 7:
        spoil(part, draw)
    return kind, name, part


def parsed(kind: Kind, obj: dict[str, Any]) -> Model | ValidationError:
    try:
        return kind.model.model_validate(obj)
    except ValidationError as error:
        return error


def test_model_and_server_accept_the_same_objects_and_read_them_alike(api: Any, sample: Any) -> None:
    stored = {kind.name: api.create(kind, sample(kind)).body for kind in KINDS}
    seen: Counter[tuple[str, bool]] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[
            Phase.generate
        ],  # the messages name the whole object; shrinking would ask the server for minutes
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(parts())
    def agree(case: tuple[Kind, str, dict[str, Any]]) -> None:
        kind, name, part = case
        if name == "status":
            obj = stored[kind.name] | {"status": part}
            answer = api.try_status(kind, obj)
        else:
            obj = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": "new"}, "spec": part}
            answer = api.try_create(kind, obj)
        assert answer.code in {200, 201, 422}, answer.body
        seen[kind.name, answer.accepted] += 1
        model = parsed(kind, obj)
        if isinstance(model, ValidationError):
            assert not answer.accepted, f"only the model refuses {json.dumps(obj)}: {model}"
            return
        assert answer.accepted, f"only the server refuses {json.dumps(obj)}: {answer.causes}"
        read = kind.model.model_validate(answer.body)
        assert getattr(read, name) == getattr(model, name), "pruning or defaults differ"
        assert kind.model.model_validate(model.to_json()) == model

    agree()
    total = sum(seen.values())
    refused = sum(count for (_, accepted), count in seen.items() if not accepted)
    assert total >= 500
    assert refused * 3 >= total, seen
    assert all(seen[kind.name, accepted] > 10 for kind in KINDS for accepted in (True, False)), seen
