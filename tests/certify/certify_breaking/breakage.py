"""The ways in which the app is broken, each with the checks that it must fail: those, and no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from certify_breaking import rules
from certify_breaking.rules import over_the_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from certify_breaking.proxy import Rule


@dataclass(frozen=True, kw_only=True)
class Breakage:
    """``items`` are those walked; ``fails`` the checks of them that fail.

    Broken by ``rule`` of the proxy, by ``image``, or by the ``manner`` of the post.
    """

    name: str
    items: tuple[str, ...]
    fails: frozenset[str]
    rule: Callable[[], Rule] | None = None
    image: str | None = None
    manner: Literal["loses", "leaves out whom to ask"] | None = None


def _by_proxy(name: str, rule: Callable[[], Rule], *items: str, fails: set[str]) -> Breakage:
    return Breakage(name=name, rule=rule, items=items, fails=frozenset(fails))


def _by_image(name: str, image: str, *items: str, fails: set[str]) -> Breakage:
    return Breakage(name=name, image=image, items=items, fails=frozenset(fails))


BREAKAGES = (
    _by_image("install is slow", "slow", "1", fails={"1.near-real-time"}),
    _by_image("approved too early", "early", "1", fails={"1.usable-at-once"}),
    _by_image("another user signed in than launched", "impostor", "3", fails={"3.own-account"}),
    _by_proxy("bar missing", rules.WithoutBar, "2", fails={"2.bar-visible"}),
    _by_proxy(
        "bar covered by the app", lambda: over_the_bar(takes_clicks=True), "2", fails={"2.bar-visible"}
    ),
    _by_proxy(
        "bar painted over by the app", lambda: over_the_bar(takes_clicks=False), "2", fails={"2.bar-visible"}
    ),
    _by_proxy("no room for the bar", rules.BeneathTheBar, "2", fails={"2.bar-covers-nothing"}),
    _by_proxy("bar shown to a reseller", rules.BarForAll, "8.2", fails={"8.2.no-bar"}),
    _by_proxy("second login asked", rules.OwnLogin, "2", fails={"2.no-login"}),
    _by_proxy("removed user still in", rules.Cache, "4", fails={"4.removed-link", "4.removed-open-page"}),
    _by_proxy("uninstall leaves access", rules.Cache, "6", fails={"6.no-link", "6.no-open-page"}),
    _by_proxy("identity by e-mail", rules.ByEmail, "7", fails={"7.second-identity"}),
    _by_proxy("dead terms link", rules.DeadTerms, "1", "9", fails={"1.terms", "9.terms"}),
    _by_proxy("wrong region's host", rules.WrongRegion, "2", fails={"2.region-host"}),
    _by_proxy("expired token refused in the background", rules.ExpiredToken, "2", fails={"2.expired-tokens"}),
    _by_proxy("expired token told to the user", rules.SaysExpired, "2", fails={"2.expired-tokens"}),
    _by_proxy("no help to begin with", rules.WithoutHelp, "2", fails={"2.onboarding"}),
    _by_proxy("account not known", rules.WithoutAccount, "2", fails={"2.account-data"}),
    Breakage(name="no mail", manner="loses", items=("1",), fails=frozenset({"1.mail"})),
    Breakage(
        name="mail without a contact",
        manner="leaves out whom to ask",
        items=("1",),
        fails=frozenset({"1.mail"}),
    ),
)
