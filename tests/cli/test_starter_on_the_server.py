"""What ``init`` writes is accepted: by the API server strictly, by helm with the chart's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from talkdesk_cli.starter.answers import answers
from talkdesk_cli.starter.files import starter
from talkdesk_sandbox.release import chart

if TYPE_CHECKING:
    from pathlib import Path

    from talkdesk_cli.starter.answers import Answers
    from talkdesk_sandbox.controlplane import ControlPlane

GIVEN = [
    answers(name="greeter"),
    answers(
        name="a-1",
        title='Béa\'s "Board": #1',
        domain="calls.acme.example",
        image="registry.acme.example:5000/team/calls:1.2",
        contact="o'brien@acme.example",
    ),
]


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: given.name)
def test_the_api_server_takes_the_app_with_no_field_that_it_does_not_know(
    given: Answers, control_plane: ControlPlane, namespace: str
) -> None:
    arguments = ("--namespace", namespace, "--validate=strict", "--filename", "-")
    text = starter(given)["app.yaml"]
    said = control_plane.kubectl("apply", "--dry-run=server", *arguments, input=text)
    assert f"talkdeskapp.talkdesk-operator.io/{given.name} created" in said


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: given.name)
def test_helm_takes_the_values(given: Answers, control_plane: ControlPlane, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(starter(given)["values.yaml"])
    assert "1 chart(s) linted, 0 chart(s) failed" in control_plane.helm(
        "lint", chart(), "--values", values, "--strict"
    )
    rendered = control_plane.helm("template", "td", chart(), "--values", values)
    assert f"{given.name}-tls" in rendered
    assert "registry.example.com/talkdesk-operator:" in rendered
