"""ConfigMap ``talkdesk-account``: what the app should know about its customer, before it is approved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
        "links": app.spec.links.to_json(),
    }
    if facts.plan is not None:
        record["plan"] = {"name": facts.plan}
    if facts.trial is not None:
        record["trial"] = facts.trial.to_json()
    plain = {
        f"{group}.{name}": str(value)
        for group, fields in record.items()
        for name, value in fields.items()
        if value is not None
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
            "data": {"account.json": json.dumps(record, sort_keys=True, indent=2), **plain},
        }
    ]
