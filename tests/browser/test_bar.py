"""The bar on pages of every kind, through gateway and Envoy as the chart starts them."""

from __future__ import annotations

from typing import Any

import pytest

from browsing.bar import assert_bar

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.asyncio(loop_scope="session"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


async def test_the_bar_is_there_under_a_strict_policy_without_a_head_and_after_navigation_within_the_page(
    town: Any, person: Any
) -> None:
    async with town.market.customer("contoso") as contoso:
        ada = await person()
        visit = await ada.clicks_icon(await ada.signs_in(contoso, "Ada"), contoso, "Ada")
        page = visit.page
        await page.goto(f"{visit.origin}/strict")
        assert await page.inner_text("#said") == "The page's own script has run."
        await assert_bar(ada, page, "strict policy", says=contoso.name, first="h1")
        await page.goto(f"{visit.origin}/bare")
        await assert_bar(ada, page, "without head", says=contoso.name, first="h1")
        await page.goto(visit.origin)
        await page.evaluate(
            """() => {
                history.pushState({}, '', '/elsewhere');
                document.body.replaceChildren(document.createElement('h1'));
                document.querySelector('h1').textContent = 'Another view of the same page';
            }"""
        )
        await assert_bar(ada, page, "another view", says="Ada Lovelace", first="h1")


async def test_large_downloads_and_what_pages_fetch_come_through_as_they_are(town: Any, person: Any) -> None:
    async with town.market.customer("fabrikam") as fabrikam:
        ada = await person()
        visit = await ada.clicks_icon(await ada.signs_in(fabrikam, "Ada"), fabrikam, "Ada")
        page, size = visit.page, 20 * 1024 * 1024
        loaded = await page.evaluate(
            f"fetch('/download?bytes={size}&type=text/html').then(r => r.arrayBuffer())"
            ".then(b => [b.byteLength, new Uint8Array(b).every((byte, at) => byte === at % 256)])"
        )
        assert loaded == [size, True]
        fetched = "fetch('/calls').then(r => r.text()).then(text => text.includes('/_td/bar.js'))"
        assert await page.evaluate(fetched) is False
