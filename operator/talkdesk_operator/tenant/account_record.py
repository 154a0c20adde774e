"""ConfigMap ``talkdesk-account``: what the app should know about its customer, before it is approved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_operator.tenant.making import Making, Object

NAME = "talkdesk-account"


def account_record(made: Making) -> list[Object]:
    """The ConfigMap: ``account.json`` with everything, and one plain key for each scalar of it.

    A plain key is the path with dots (``account.name``); it can be used by ``configMapKeyRef``.
    """
    tenant, app, facts = made.tenant, made.app, made.facts
    record: dict[str, Any] = {
        "account": {"id": facts.account_id, **facts.account.to_json()},
        "installation": {"id": facts.installation_id},
        "app": {"id": facts.app_id},
        "region": {"name": facts.region},
        "tenant": {"name": tenant.name, "host": tenant.host(app.spec.base_domain)},
        "gateway": tenant.gateway(app.spec.base_domain),
        "links": app.spec.links.to_json(),
        "plan": {"name": made.plan_name},
    }
    for kind in ("values", "numbers", "features"):
        if given := getattr(made.plan, kind):
            record["plan"][kind] = dict(given)
    if facts.trial is not None:
        record["trial"] = facts.trial.to_json()
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
            "data": {"account.json": json.dumps(record, sort_keys=True, indent=2), **dict(_plain(record))},
        }
    ]


def _plain(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every scalar of ``record`` as text, by its path with dots; a switch is ``true`` or ``false``."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _plain(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            yield f"{prefix}{name}", "true" if value else "false"
        elif value is not None:
            yield f"{prefix}{name}", str(value)
