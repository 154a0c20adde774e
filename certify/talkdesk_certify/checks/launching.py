"""What is looked at whenever somebody launches the app: added to items 2 and 3, each for their own person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from talkdesk_certify.check import Failed, NotReached
from talkdesk_certify.checks.whose import known, shows_alone
from talkdesk_certify.reviewer.bar import bar_covers_nothing, bar_is_seen, no_bar

if TYPE_CHECKING:
    from talkdesk_certify.check import Item
    from talkdesk_certify.journey import Role
    from talkdesk_certify.scene import Scene

#: Words that a page needs at the least to say what an app is for.
_WORDS = 20
_BY = "The app's icon in My Apps is clicked, in a browser where the user is signed in to Talkdesk alone. "


def add_launching(item: Item, role: Role) -> None:
    """The checks of a launch by ``role``."""
    _add_entering(item, role)
    _add_bar(item, role)
    _add_contents(item, role)


def _add_entering(item: Item, role: Role) -> None:
    @item.check(
        "launches",
        title="The app opens from its icon",
        how=_BY + "The last document that the browser gets is a page of the app, with status 200.",
        fix="Read the page in the screenshot: it has a reference. Is the workload ready before the approval?",
        simulator=False,
    )
    async def launches(scene: Scene) -> str:
        visit = await scene.visit(role)
        await visit.entered()
        return visit.told

    @item.check(
        "no-login",
        title="The user is in without another login",
        how="Nothing but redirects (or a page that goes on by itself) lies between the click and the app, "
        "whose page, a second after it has loaded, has no password field, and no button, link or heading "
        "that begins with “log in” or “sign in”.",
        fix="Take the user from the identity that the gateway passes on: no login of the app's own.",
        needs=("launches",),
        simulator=False,
    )
    async def no_login(scene: Scene) -> str:
        visit = await scene.visit(role)
        await visit.unasked()
        return visit.told

    @item.check(
        "own-account",
        title="It is the user's own account",
        how="The app's page shows this user's name or e-mail address, and nobody else's of the account.",
        fix="Key users by Talkdesk's user id, and take it from each request, never from a cache or the link.",
        needs=("no-login",),
        simulator=False,
    )
    async def own_account(scene: Scene) -> str:
        visit, (own, others) = await scene.visit(role), known(scene.customer, role)
        if not own:
            raise NotReached("left out: nobody said by which name the app shows its user (--user)")
        return f"the app shows {await shows_alone(visit, own, others)}"


def _add_bar(item: Item, role: Role) -> None:
    @item.check(
        "bar-visible",
        title="The Talkdesk bar is at the top, from edge to edge",
        how="A second after the page has loaded, points along the whole width, at three heights, are hit; "
        "then the bar's place is compared, pixel by pixel, with a picture of the bar alone.",
        fix="Is spec.bar.script set, and does the page's own policy let it load? Keep the top 48 pixels "
        "free.",
        needs=("no-login",),
        simulator=False,
        accounts="customers",
    )
    async def bar_visible(scene: Scene) -> str:
        return await bar_is_seen((await scene.visit(role)).page, scene.needs_bar())

    @item.check(
        "bar-covers-nothing",
        title="The app begins below the bar",
        how="No words and no control of the app have their place within the bar's height.",
        fix="Place what is fixed to the top of the window at top: var(--talkdesk-bar-height, 0px).",
        needs=("bar-visible",),
        simulator=False,
        accounts="customers",
    )
    async def bar_beside(scene: Scene) -> str:
        return await bar_covers_nothing((await scene.visit(role)).page, scene.needs_bar())

    @item.check(
        "no-bar",
        title="No Talkdesk bar for a reseller",
        how="A second after the page has loaded, neither an element of the bar's kind nor a region with its "
        "name is in it.",
        fix="Name the account's id in spec.resellers, and let the app not draw a bar of its own.",
        needs=("no-login",),
        accounts="resellers",
    )
    async def without_bar(scene: Scene) -> str:
        return await no_bar((await scene.visit(role)).page, scene.needs_bar())


def _add_contents(item: Item, role: Role) -> None:
    @item.check(
        "purpose",
        title="The page says what the app is for and where to begin",
        how=f"There is a heading of the first level, at least {_WORDS} words, and a link or button to go on "
        f"with.",
        fix="Greet with one sentence on the purpose and one on the first step.",
        needs=("no-login",),
        simulator=False,
    )
    async def purpose(scene: Scene) -> str:
        visit = await scene.visit(role)
        headings = visit.page.get_by_role("heading", level=1)
        if not await headings.count():
            raise Failed("the page has no heading of the first level")
        words = len((await visit.words()).split())
        steps = await visit.page.locator("a[href]:visible, button:visible").count()
        if words < _WORDS or not steps:
            raise Failed(f"the page has {words} words, and {steps} links and buttons")
        return f"“{await headings.first.inner_text()}”, {words} words, {steps} links and buttons"

    @item.check(
        "account-data",
        title="The account's data is loaded",
        how="The app's page shows the name of the account at Talkdesk.",
        fix="Read the account's record (the ConfigMap talkdesk-account) and show whose account it is.",
        needs=("no-login",),
        simulator=False,
    )
    async def account_data(scene: Scene) -> str:
        visit, name = await scene.visit(role), scene.customer.account_name
        if name is None:
            raise NotReached("left out: nobody said by which name the app shows the account (--account)")
        return f"the app shows the account {await shows_alone(visit, [name], [])}"


def talkdesk_hosts(way: list[str], *, own: str) -> tuple[list[str], list[str]]:
    """The hosts of Talkdesk's domain among the URLs of ``way``: the account's ``own``, and all others."""
    host = urlsplit(own).hostname or ""
    domain = re.sub(r"^.*?([^.]+\.[^.]+)$", r"\1", host)
    found = [name for name in (urlsplit(url).hostname or "" for url in way) if name.endswith("." + domain)]
    return [one for one in found if one == host], [one for one in found if one != host]
