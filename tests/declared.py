"""The plainest TalkdeskApp that tests of pure functions declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_crds.app import TalkdeskApp

if TYPE_CHECKING:
    from collections.abc import Mapping


def app(*, annotations: Mapping[str, str] | None = None, **spec: Any) -> TalkdeskApp:
    """An app without template; ``spec`` over that."""
    return TalkdeskApp.model_validate(
        {
            "metadata": {
                "name": "demo",
                "namespace": "talkdesk-system",
                "annotations": dict(annotations or {}),
            },
            "spec": {
                "appId": "app",
                "regions": {"eu": {"api": "api.talkdeskapp.eu", "identity": "talkdeskid.eu"}},
                "baseDomain": "apps.example.com",
                "service": {"name": "web", "port": 80},
                "template": [],
                **spec,
            },
        }
    )
