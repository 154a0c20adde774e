"""A revision: an immutable copy of what tenants are made from, kept as a ControllerRevision. Pure.

Its name hangs on its content, so that the same content is the same revision, however often an app changes
there and back; and content that is not what the name says is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from talkdesk_crds import names
from talkdesk_crds.blueprint import Blueprint, blueprint_of
from talkdesk_operator.owned import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from talkdesk_crds.app import TalkdeskApp

_DIGITS = 16
#: What a name has room for beside the digest; at most 253 characters in all.
_PREFIX_LIMIT = 200
_API_VERSION, _KIND = "apps/v1", "ControllerRevision"


@dataclass(frozen=True)
class Revision:
    """A stored revision. ``blueprint`` is None where it cannot be used; ``problem`` says why.

    ``number`` grows with each revision that an app gets; ``app`` is the label value of its app id.
    """

    name: str
    app: str
    number: int
    blueprint: Blueprint | None = None
    problem: str = ""


def revision_name(app: TalkdeskApp) -> str:
    """The name of the revision that ``app`` asks for at present."""
    return _name(app.metadata.name, app.spec.app_id, blueprint_of(app.spec).to_json())


def controller_revision(
    app: TalkdeskApp, *, number: int, namespace: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The ControllerRevision that holds what ``app`` asks for at present. It has no owner: tenants need it
    when the app is long something else."""
    return {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        "metadata": {
            "name": revision_name(app),
            "namespace": namespace,
            "labels": {**labels, names.APP_LABEL: names.label_value(app.spec.app_id)},
            "annotations": {_OF: app.metadata.name, _APP_ID: app.spec.app_id},
        },
        "revision": number,
        "data": blueprint_of(app.spec).to_json(),
    }


def parse(obj: Mapping[str, Any]) -> Revision:
    """The revision in a stored ControllerRevision, whatever is in it."""
    metadata = obj["metadata"]
    name, data = metadata["name"], obj.get("data")
    noted = metadata.get("annotations") or {}
    found = Revision(
        name=name,
        app=(metadata.get("labels") or {}).get(names.APP_LABEL, ""),
        number=int(obj.get("revision") or 0),
    )
    if name != _name(noted.get(_OF, ""), noted.get(_APP_ID, ""), data):
        return _unusable(found, "its content is not what its name says; delete it")
    try:
        blueprint = Blueprint.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        return _unusable(found, f"{path}: {first['msg']}")
    return Revision(name=name, app=found.app, number=found.number, blueprint=blueprint)


def owner_of(obj: Mapping[str, Any]) -> str:
    """The name of the TalkdeskApp that a ControllerRevision was made for; empty where it does not say."""
    return str((obj["metadata"].get("annotations") or {}).get(_OF, ""))


def app_id_of(obj: Mapping[str, Any]) -> str:
    """The app id that a ControllerRevision was made for; empty where it does not say."""
    return str((obj["metadata"].get("annotations") or {}).get(_APP_ID, ""))


@dataclass(frozen=True)
class Choice:
    """Which revision a tenant is made from; ``missing`` names the one it should have where that is gone."""

    revision: Revision | None = None
    missing: str | None = None


def choose(
    named: Iterable[str | None],
    otherwise: Iterable[str | None],
    *,
    find: Callable[[str], Revision | None],
    at_rest: bool = False,
) -> Choice:
    """The first usable revision of those a tenant is ``named``, else the first usable one of ``otherwise``.

    A running tenant whose named revisions are all gone gets none: the roll-out gives it another in its turn,
    for all tenants of a revision that somebody deleted must not change at once. One ``at_rest`` may.
    """
    wanted = [name for name in named if name is not None]
    missing = None
    for name in wanted:
        if (found := _usable(name, find)) is not None:
            return Choice(found, missing)
        missing = missing or name
    if wanted and not at_rest:
        return Choice(missing=missing)
    for other in otherwise:
        if other is not None and (found := _usable(other, find)) is not None:
            return Choice(found, missing)
    return Choice(missing=missing)


def prunable(
    stored: Iterable[Revision], *, kept: Iterable[str | None], named: Iterable[str | None]
) -> list[str]:
    """The stored revisions that nobody needs: no tenant names them and the app does not keep them."""
    needed = {*kept, *named}
    return sorted(revision.name for revision in stored if revision.name not in needed)


def newest(stored: Iterable[Revision]) -> Revision | None:
    """The usable revision with the greatest number."""
    usable = [revision for revision in stored if revision.blueprint is not None]
    return max(usable, key=lambda revision: (revision.number, revision.name), default=None)


#: Annotations of a ControllerRevision: what its name was made from beside its content.
_OF = f"{names.GROUP}/talkdeskapp"
_APP_ID = f"{names.GROUP}/app-id"


def _name(app: str, app_id: str, content: Any) -> str:
    prefix = app[:_PREFIX_LIMIT].rstrip("-.")
    return f"{prefix}-{names.digest(app, app_id, digest_of(content), length=_DIGITS)}"


def _usable(name: str, find: Callable[[str], Revision | None]) -> Revision | None:
    found = find(name)
    return found if found is not None and found.blueprint is not None else None


def _unusable(found: Revision, problem: str) -> Revision:
    message = f"ControllerRevision {found.name} cannot be used: {problem}"
    return Revision(name=found.name, app=found.app, number=found.number, problem=message)
