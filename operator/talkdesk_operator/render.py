"""Strict ``${…}`` references in the tenant's template. Pure.

``${account.name}`` inside a string is replaced by the value's text; a reference that is the whole string
keeps the value's type; ``$${`` stands for a plain ``${``. There is no expression language. An unknown
reference, or one that has no value for this tenant, is an error that carries the path of the field, never an
empty string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")

#: What a template may refer to, beside the values of plans (``plan.values.NAME``, ``plan.numbers.NAME``,
#: ``plan.features.NAME``).
REFERENCES = (
    "account.id",
    "account.name",
    "account.companyName",
    "account.email",
    "account.timezone",
    "installation.id",
    "app.id",
    "region.name",
    "tenant.name",
    "tenant.host",
    "gateway.jwks",
    "gateway.keys",
    "gateway.start",
    "gateway.signOut",
    "plan.name",
    "links.terms",
    "links.support",
    "links.upgrade",
)

Scalar = str | int | bool
Values = Mapping[str, Scalar | None]


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a template, and where: ``spec.template[0].spec.replicas``."""

    path: str
    message: str
    #: The reference that is known, but has no value here.
    without_value: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class RenderError(Exception):
    """The template cannot be rendered; ``problems`` has every place, in the template's order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def render(template: Any, values: Values, *, path: str) -> Any:
    """``template`` (JSON) with every reference replaced. RenderError lists all that is wrong."""
    problems: list[Problem] = []
    rendered = _render(template, values, path, problems)
    if problems:
        raise RenderError(tuple(problems))
    return rendered


def _render(node: Any, values: Values, path: str, problems: list[Problem]) -> Any:
    if isinstance(node, str):
        return _text(node, values, path, problems)
    if isinstance(node, Mapping):
        result = {}
        for key, value in node.items():
            if "${" in key:
                problems.append(Problem(path, f"a reference is not allowed in the name of a field: {key}"))
            result[key] = _render(value, values, path + _step(key), problems)
        return result
    if isinstance(node, list):
        return [_render(item, values, f"{path}[{index}]", problems) for index, item in enumerate(node)]
    return node


def _text(text: str, values: Values, path: str, problems: list[Problem]) -> Scalar:
    whole = _TOKEN.fullmatch(text)
    if whole is not None and whole.group(1) is not None:
        value = _value(whole.group(1), values, path, problems)
        return "" if value is None else value

    def replace(match: re.Match[str]) -> str:
        if match.group(0) == "$${":
            return "${"
        name = match.group(1)
        if name is None:
            problems.append(Problem(path, "a ${ is not closed; write $${ for a plain one"))
            return ""
        value = _value(name, values, path, problems)
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)

    return _TOKEN.sub(replace, text)


def _value(name: str, values: Values, path: str, problems: list[Problem]) -> Scalar | None:
    """The value, or None after noting why there is none."""
    if name not in values:
        known = ", ".join(sorted(values))
        problems.append(Problem(path, f"unknown reference ${{{name}}}; known are {known}"))
        return None
    value = values[name]
    if value is None:
        problems.append(Problem(path, f"${{{name}}} has no value", without_value=name))
    return value


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.match(key) else f"[{key!r}]"
