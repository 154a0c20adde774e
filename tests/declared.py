"""The plainest TalkdeskApp that tests of pure functions declare."""

from __future__ import annotations

from typing import Any

from talkdesk_crds.app import TalkdeskApp


def app(**spec: Any) -> TalkdeskApp:
    """An app without template; ``spec`` over that."""
    return TalkdeskApp.model_validate(
        {
            "metadata": {"name": "demo", "namespace": "talkdesk-system"},
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
