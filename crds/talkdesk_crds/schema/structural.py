"""From a pydantic model to a structural schema, the dialect of OpenAPI that the API server takes.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/.
Where pydantic speaks more than that dialect, it is said in other words: an optional field is one that is not
required, a constant is an enum of one, and what keys of a map must look like is a rule in CEL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from talkdesk_crds.meta import VALIDATIONS, Model, cel

if TYPE_CHECKING:
    from pydantic_core import core_schema

_REF: Final = "#/$defs/"
_DROPPED: Final = frozenset({"title", "$defs"})
#: The order in which a reader wants to see a node.
_ORDER: Final = (
    *("description", "type", "format", "enum", "default", "required"),
    *("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minItems", "maxItems", "minProperties", "maxProperties"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
    *("x-kubernetes-preserve-unknown-fields", VALIDATIONS),
    *("properties", "additionalProperties", "items"),
)


class UnsupportedSchema(TypeError):  # noqa: N818 -- named after what it says
    """A model says something that a structural schema cannot; the message names the node and the keyword."""


class _Generator(GenerateJsonSchema):
    """pydantic's generator, in the API server's dialect. References are left to the second step."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 -- pydantic's signature
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        found = super().literal_schema(schema)
        if "const" in found:
            found["enum"] = [found.pop("const")]
        return found

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = self.generate_inner(schema["schema"])
        default: Any = schema.get("default")
        if "default_factory" in schema:
            default = schema["default_factory"]()  # type: ignore[call-arg] # none of ours takes the data
        if default is None:
            return found
        if isinstance(default, Model):
            default = default.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return {**({"allOf": [found]} if "$ref" in found else found), "default": default}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        found: JsonSchemaValue = {"type": "object"}
        found["additionalProperties"] = self.generate_inner(schema["values_schema"])
        self.update_with_validations(found, schema, self.ValidationsMapping.object)
        if rule := _key_rule(keys):
            found[VALIDATIONS] = [rule]
        return found


def _key_rule(keys: JsonSchemaValue) -> dict[str, Any] | None:
    """The CEL rule for a map's keys: the schema itself has no say over them."""
    least, most, pattern = keys.get("minLength"), keys.get("maxLength"), keys.get("pattern")
    parts, words = [], []
    if least is not None:
        parts.append(f"size(key) >= {least}")
        words.append(f"have at least {least} character{'s' if least != 1 else ''}")
    if most is not None:
        parts.append(f"size(key) <= {most}")
        words.append(f"have at most {most} characters")
    if pattern is not None:
        parts.append(f"key.matches(r'{pattern}')")
        words.append(f"match {pattern}")
    if not parts:
        return None
    return cel(f"self.all(key, {' && '.join(parts)})", f"every key must {' and '.join(words)}")


def structural(model: type[Model]) -> dict[str, Any]:
    """The structural schema of ``model``. Raises :class:`UnsupportedSchema`."""
    raw = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    return _node(raw, definitions=raw.get("$defs", {}), path=model.__name__)


def _node(raw: dict[str, Any], *, definitions: dict[str, Any], path: str) -> dict[str, Any]:
    merged = _resolved(raw, definitions)
    node = {key: value for key, value in merged.items() if key not in _DROPPED}
    if node.get("additionalProperties") is False or node.get("x-kubernetes-preserve-unknown-fields"):
        node.pop("additionalProperties", None)
    if unknown := node.keys() - set(_ORDER):
        raise UnsupportedSchema(f"{path}: a structural schema has no {', '.join(sorted(unknown))}")
    if "type" not in node:
        raise UnsupportedSchema(f"{path}: a structural schema needs a type here")
    if "description" in node:
        node["description"] = _prose(node["description"])
    if "properties" in node:
        node["properties"] = {
            name: _node(child, definitions=definitions, path=f"{path}.{name}")
            for name, child in node["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if key in node:
            node[key] = _node(node[key], definitions=definitions, path=f"{path}[]")
    if "default" in node and not node["default"] and not _says_something(node):
        del node["default"]
    return {key: node[key] for key in _ORDER if key in node}


def _resolved(raw: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """``raw`` with its reference replaced by what it refers to; what stands beside the reference wins."""
    raw = dict(raw)
    for inner in raw.pop("allOf", []):
        raw = {**inner, **raw}
    if "$ref" not in raw:
        return raw
    target = definitions[raw.pop("$ref").removeprefix(_REF)]
    merged = {**_resolved(target, definitions), **raw}
    if rules := [*target.get(VALIDATIONS, []), *raw.get(VALIDATIONS, [])]:
        merged[VALIDATIONS] = rules
    return merged


def _says_something(node: dict[str, Any]) -> bool:
    """Whether an empty default brings anything: false and 0 do, and {} where fields inside have defaults."""
    default = node["default"]
    if isinstance(default, dict):
        return any("default" in child for child in node.get("properties", {}).values())
    return isinstance(default, bool | int)


def _prose(docstring: str) -> str:
    """The first paragraph of a docstring, on one line, for ``kubectl explain``."""
    first = docstring.strip().split("\n\n")[0]
    return re.sub(r":\w+:`([^`]*)`", r"\1", re.sub(r"\s+", " ", first)).replace("``", "`")
