"""A kind as the YAML of its CustomResourceDefinition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from talkdesk_crds.names import GROUP, VERSION
from talkdesk_crds.schema.structural import structural

if TYPE_CHECKING:
    from talkdesk_crds.schema.kinds import Column, Kind

CATEGORY: Final = "talkdesk"
_HEADER: Final = "# Generated from the models in crds/talkdesk_crds by `make crds`. Do not edit.\n"


def schema(kind: Kind) -> dict[str, Any]:
    """``openAPIV3Schema`` of a kind. metadata stays the API server's own."""
    root = structural(kind.model)
    fields = root["properties"]
    text = {"type": "string"}
    properties = {"apiVersion": text, "kind": text, "metadata": {"type": "object"}, "spec": fields["spec"]}
    if kind.has_status:
        properties["status"] = fields["status"]
    return {
        "description": root["description"],
        "type": "object",
        "required": ["spec"],
        "properties": {name: dict(node) for name, node in properties.items()},
    }


def crd(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "selectableFields": [{"jsonPath": path} for path in kind.selectable],
        "schema": {"openAPIV3Schema": schema(kind)},
    }
    if kind.has_status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.short_name],
                "categories": [CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        entry["description"] = column.description
    if column.wide:
        entry["priority"] = 1
    return entry


class _Dumper(yaml.SafeDumper):
    """No anchors: kubectl reads them, people do not."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 -- PyYAML's signature
        return True


def render(kind: Kind) -> str:
    """The text of ``crds/<plural>.yaml``; the same for the same models on every machine."""
    body = yaml.dump(crd(kind), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return _HEADER + body
