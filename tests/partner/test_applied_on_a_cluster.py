"""A partner's TalkdeskApp is applied strictly: a slip of the pen is told, not passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from talkdesk_cli.starter.answers import answers
from talkdesk_cli.starter.files import starter
from talkdesk_kube import KubeError
from talkdesk_sandbox.partner.applied import apply

if TYPE_CHECKING:
    from talkdesk_kube import Kube


async def test_a_field_that_does_not_exist_is_named(kube: Kube, namespace: str) -> None:
    app = yaml.safe_load(starter(answers(name="greeter"))["app.yaml"])
    app["metadata"]["namespace"] = namespace
    app["spec"]["lanchHost"] = app["spec"].pop("launchHost")
    with pytest.raises(KubeError, match="lanchHost"):
        await apply(kube, app)
