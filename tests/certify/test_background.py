"""What an open page asks for in the background is asked, whatever the page's policy lets it ask for."""

from __future__ import annotations

import pytest
from aiohttp import web

from talkdesk_certify.reviewer.background import asked_in_background, fetched_in_background
from talkdesk_certify.reviewer.drawn import settled
from visited import person_at

pytestmark = [
    pytest.mark.processes,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("browser_up"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class _App:
    """Its page has a policy; its session is a cookie, as apps have it. ``asked`` are requests of scripts."""

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self.removed = False
        self.asked: list[tuple[str, str | None]] = []

    async def page(self, request: web.Request) -> web.Response:
        if request.headers["Sec-Fetch-Dest"] != "document":
            self.asked.append((request.headers["Sec-Fetch-Site"], request.cookies.get("__Host-session")))
        status = 403 if self.removed else 200
        answer = web.Response(status=status, text="<h1>App</h1>", content_type="text/html")
        answer.headers["Content-Security-Policy"] = self._policy
        answer.set_cookie("__Host-session", "mara", secure=True, httponly=True, path="/", samesite="Strict")
        return answer

    @property
    def site(self) -> web.Application:
        site = web.Application()
        site.router.add_get("/app", self.page)
        return site


@pytest.mark.parametrize(
    "policy",
    ["default-src 'none'; style-src 'self'", "connect-src https://api.example", ""],
    ids=["nothing", "another host", "everything"],
)
async def test_a_page_whose_policy_forbids_requests_is_asked_for_all_the_same(policy: str) -> None:
    app = _App(policy)
    async with person_at(app.site) as (person, root):
        visit = await person.opens(f"{root}/app")
        await settled(visit.page)
        address = visit.page.url
        assert await asked_in_background(visit.page, address) == [200, 200, 200]
        assert await fetched_in_background(visit.page, address) == [200, 200, 200]
        assert len(person.context.pages) == 2
        app.removed = True
        assert await asked_in_background(visit.page, address) == [403, 403, 403]
    assert set(app.asked) == {("same-origin", "mara")}
