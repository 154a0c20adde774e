"""The templates' language: Jinja2 without anything that could take long, grow large or reach beyond. Pure.

On top of Jinja2's sandbox only text, references, conditions and a few filters are left. There is no loop, no
call, no assignment and no arithmetic, so that time and size grow with the template's own length and nothing
else; and every reference is checked when the template is written, in branches that no customer has reached
yet as well. Then it is tried in each situation that a customer may be in.
"""

from __future__ import annotations

import re
from functools import lru_cache
from inspect import signature
from traceback import walk_tb
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from talkdesk_operator.mail.situations import situations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jinja2 import Template

#: Bytes that a rendered part may have.
LARGEST = 256 * 1024
_DEEPEST = 24
#: Each is compiled; a thousand would keep the operator from its work for a moment that shows.
_MOST = 400

#: What a template may name: groups with their members, and single values (None).
REFERENCES: dict[str, frozenset[str] | None] = {
    "app": frozenset({"id", "name"}),
    "account": frozenset({"id", "name", "companyName"}),
    "admin": frozenset({"name", "email"}),
    "installation": frozenset({"id"}),
    "plan": frozenset({"name"}),
    "links": frozenset({"launch", "terms", "support", "upgrade"}),
    "retention": frozenset({"until"}),
    "words": frozenset({"subject", "headline", "happened", "next"}),
    "contact": None,
    "outcome": None,
    "request": None,
    "succeeded": None,
    "reason": None,
}

_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.Not,
    nodes.And,
    nodes.Or,
    nodes.Const,
    nodes.Filter,
)


class TemplateRefused(Exception):  # noqa: N818 - what was found, in one line
    """The template cannot be used; the message begins with the line."""


def check(source: str) -> None:
    """Raise :class:`TemplateRefused` at what in ``source`` is not of the language, or fails for somebody."""
    problem = _problem(source)
    if problem is not None:
        raise TemplateRefused(problem)


def render(source: str, values: Mapping[str, Any], *, html: bool) -> str:
    """``source`` with ``values``; in ``html`` they are escaped. Raises :class:`TemplateRefused`."""
    check(source)
    rendered = _filled(_compiled(source, html=html), values)
    if len(rendered.encode(errors="replace")) > LARGEST:
        raise TemplateRefused(f"line 1: what comes of it is larger than {LARGEST} bytes")
    return rendered


# The same few templates are looked at in each pass over their app, and a large one takes a while.
@lru_cache(maxsize=256)
def _problem(source: str) -> str | None:
    try:
        tree = _environment(html=False).parse(source)
        if sum(1 for _ in tree.find_all((nodes.Name, nodes.Const, nodes.If))) > _MOST:
            return f"line 1: it has more than {_MOST} references, constants and conditions"
        found = next(_problems(tree, depth=0), None)
        return found or _failing(_compiled(source, html=False))
    except TemplateSyntaxError as problem:
        return f"line {problem.lineno}: {problem.message}"
    except (RecursionError, MemoryError, SyntaxError, TemplateError):
        return "line 1: it is nested too deeply"
    except Exception as problem:  # noqa: BLE001 - Jinja2 lets through what Python says of a constant
        return _raised(problem)


@lru_cache(maxsize=64)
def _compiled(source: str, *, html: bool) -> Template:
    return _environment(html=html).from_string(source)


def _failing(template: Template) -> str | None:
    """What it raises in the first situation in which it raises anything: types are known by trying alone."""
    for missing, values in situations():
        try:
            _filled(template, values)
        except TemplateRefused as problem:
            return f"{problem}{missing}"
    return None


def _filled(template: Template, values: Mapping[str, Any]) -> str:
    try:
        return template.render(values)
    except Exception as problem:  # noqa: BLE001 - whatever it is, this template cannot be used
        raise TemplateRefused(_raised(problem)) from None


def _raised(problem: Exception) -> str:
    """Its kind alone: what it says may quote a value."""
    # Jinja2 puts the template's lines into the traceback, in frames of its own.
    frames = walk_tb(problem.__traceback__)
    lines = [line for frame, line in frames if "__jinja_exception__" in frame.f_globals]
    return f"line {lines[-1] if lines else 1}: {type(problem).__name__}"


def _problems(node: nodes.Node, *, depth: int) -> Iterator[str]:
    where = f"line {node.lineno}"
    if depth > _DEEPEST:
        yield f"{where}: it is nested too deeply"
        return
    if not isinstance(node, _ALLOWED):
        yield f"{where}: {type(node).__name__.lower()} is not allowed; there are references, if and filters"
        return
    if isinstance(node, nodes.Getattr):
        yield from _reference(node, where)
        return
    if isinstance(node, nodes.Name):
        members = REFERENCES.get(node.name, frozenset())
        if members is not None:
            yield f"{where}: unknown reference {node.name}; known are {_known()}"
        return
    if isinstance(node, nodes.Filter) and (problem := _filtering(node)) is not None:
        yield f"{where}: {problem}"
        return
    for child in node.iter_child_nodes():
        yield from _problems(child, depth=depth + 1)


def _reference(node: nodes.Getattr, where: str) -> Iterator[str]:
    group = node.node.name if isinstance(node.node, nodes.Name) else None
    members = REFERENCES.get(group) if group is not None else None
    if members is None or node.attr not in members:
        yield f"{where}: unknown reference {group or '…'}.{node.attr}; known are {_known()}"


def _filtering(node: nodes.Filter) -> str | None:
    if node.name not in _FILTERS:
        return f"unknown filter {node.name}; known are {', '.join(sorted(_FILTERS))}"
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return "arguments have to be written one by one"
    most = len(signature(_FILTERS[node.name]).parameters) - 1
    if len(node.args) > most:
        return f"the filter {node.name} takes {f'{most} arguments at most' if most else 'no argument'}"
    return None


def _known() -> str:
    return ", ".join(
        f"{name}.{member}" if member else name
        for name, members in sorted(REFERENCES.items())
        for member in (sorted(members) if members is not None else [""])
    )


def _text(value: Any) -> Any:
    """What has no value prints as nothing; a template asks with ``if``."""
    return "" if value is None else value


def _filter(change: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: change(str(_text(value)))


def _default(value: Any, fallback: Any = "", boolean: Any = True) -> Any:
    """As Jinja2's; but ``boolean`` is true unless it is said, and what is not known is None."""
    return fallback if value is None or (boolean and not value) else value


_FILTERS: dict[str, Callable[..., Any]] = {
    "upper": _filter(str.upper),
    "lower": _filter(str.lower),
    "capitalize": _filter(str.capitalize),
    "trim": _filter(str.strip),
    "urlencode": _filter(lambda text: quote(text, safe="")),
    "oneline": _filter(lambda text: re.sub(r"\s+", " ", text).strip()),
    "default": _default,
    "escape": lambda value: value if isinstance(value, Markup) else escape(_text(value)),
    "e": lambda value: value if isinstance(value, Markup) else escape(_text(value)),
}


@lru_cache(maxsize=2)
def _environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=html, finalize=_text, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.clear()
    environment.tests.clear()
    environment.filters.clear()
    environment.filters.update(_FILTERS)
    return environment
