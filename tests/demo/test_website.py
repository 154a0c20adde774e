"""The partner's own pages, to which the app's links lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml

from talkdesk_crds.app import TalkdeskApp
from talkdesk_sandbox.demo.website import HOST, website
from talkdesk_sandbox.edge import Edge
from talkdesk_sandbox.environment import demo_app

if TYPE_CHECKING:
    from collections.abc import Iterator

REGIONS = {"eu": {"api": "api.eu.talkdesk.localhost", "identity": "id.eu.talkdesk.localhost"}}


@pytest.fixture
def base() -> Iterator[str]:
    with website() as url:
        yield url


async def read(url: str) -> tuple[int, str]:
    parts = urlsplit(url)
    here = f"http://127.0.0.1:{parts.port}{parts.path}"
    async with aiohttp.ClientSession() as http, http.get(here, headers={"Host": HOST}) as answer:
        return answer.status, await answer.text()


async def test_every_link_of_the_demo_app_leads_to_a_page(base: str) -> None:
    edge = Edge(port=1, bar="http://127.0.0.1:2/bar.js", jwks="http://127.0.0.1:3/jwks.json", website=base)
    links = demo_app(app_id="x", regions=REGIONS, edge=edge)["spec"]["links"]
    assert set(links) == {"terms", "support", "upgrade"}
    for link in links.values():
        status, text = await read(link)
        assert status == 200
        assert "Callboard" in text
    assert "Terms of service" in (await read(links["terms"]))[1]
    assert (await read(f"{base}/nothing"))[0] == 404


def _variables(app: dict[str, Any]) -> dict[str, str]:
    (container,) = app["spec"]["template"][0]["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container["env"]}


def test_the_demo_app_with_and_without_users_is_a_valid_app(base: str) -> None:
    edge = Edge(port=8000, bar="http://127.0.0.1:2/bar.js", jwks="http://127.0.0.1:3/j", website=base)
    whole = demo_app(app_id="x", regions=REGIONS, name="demo-1", edge=edge)
    spec = TalkdeskApp.model_validate(whole).spec
    assert spec.launch_host == "launch.demo-1.localhost"
    assert edge.launch_url("demo-1") == "http://launch.demo-1.localhost:8000/_td/launch"
    assert edge.redirect_uri("demo-1") == "http://launch.demo-1.localhost:8000/_td/callback"
    assert spec.bar is not None
    assert str(spec.bar.script) == edge.bar
    assert _variables(whole)["JWKS_URL"] == edge.jwks

    lean = demo_app(app_id="x", regions=REGIONS)
    spec = TalkdeskApp.model_validate(lean).spec
    assert (spec.launch_host, spec.bar) == (None, None)
    assert {"JWKS_URL", "DATA_DIR"} & set(_variables(lean)) == set()
    assert "demo-data" not in yaml.safe_dump(lean)
