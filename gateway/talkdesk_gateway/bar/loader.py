"""``/_td/bar.js``: the loader, with what one tenant's bar needs filled in."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_gateway.tenancy import Tenancy

_REFERENCE = re.compile(r"\$\{([a-z.]+)\}")
_SETTINGS = "/*SETTINGS*/ null"


def bar_script(tenancy: Tenancy, user: str | None) -> str:
    """JavaScript for one tenant and the signed-in user's id.

    Where the tenant shows no bar it still answers 401s of background requests: such pages have it where they
    ask for it themselves (``docs/bar.md``). None, nobody is signed in: the same, for the bar's attributes are
    no stranger's business.
    """
    bar = tenancy.app.spec.bar if tenancy.shows_bar else None
    settings: dict[str, Any] = {"user": user, "bar": None}
    if bar is not None and user is not None:
        values = _values(tenancy, user)
        settings["bar"] = {
            "script": str(bar.script),
            "height": bar.height,
            "attributes": {name: _filled(text, values) for name, text in bar.attributes.items()},
        }
    # Valid in JavaScript of any age and, should anybody ever inline it, in HTML.
    text = json.dumps(settings, ensure_ascii=True).replace("<", "\\u003c")
    return _source().replace(_SETTINGS, text)


@cache
def _source() -> str:
    source = resources.files(__package__).joinpath("bar.js").read_text(encoding="utf-8")
    if source.count(_SETTINGS) != 1:
        raise RuntimeError(f"bar.js must have {_SETTINGS!r} once, where its settings go")
    return source


def _values(tenancy: Tenancy, user: str) -> dict[str, str]:
    spec = tenancy.installation.spec
    name, entry = spec.talkdesk.account_name, tenancy.user(user)
    return {
        "account.id": spec.account_id,
        "account.name": name.name if name is not None else "",
        "region": spec.region or "",
        "user.id": user,
        "user.name": (entry.name or "") if entry is not None else "",
        "installation.id": spec.installation_id,
    }


def _filled(text: str, values: Mapping[str, str]) -> str:
    """An unknown reference stays as it stands: it is then seen, and nothing is lost."""
    return _REFERENCE.sub(lambda found: values.get(found[1], found[0]), text)
