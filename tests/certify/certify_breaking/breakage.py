"""The ways in which the app is broken, each with the checks that it must fail: those, and no others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from certify_breaking import rules
from certify_breaking.rules import over_the_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from certify_breaking.proxy import Rule
    from post import Manner


@dataclass(frozen=True, kw_only=True)
class Breakage:
    """``items`` are those walked; ``fails`` the checks of them that fail.

    Broken by ``rule`` of the proxy, by ``image``, or by the post's ``manner`` with mails to this customer.
    """

    name: str
    items: tuple[str, ...]
    fails: frozenset[str]
    rule: Callable[[], Rule] | None = None
    image: str | None = None
    manner: Manner | None = None
    #: What every check that fails says, where a check may fail for more than one reason.
    because: str = ""


def _by_proxy(name: str, rule: Callable[[], Rule], *items: str, fails: set[str]) -> Breakage:
    return Breakage(name=name, rule=rule, items=items, fails=frozenset(fails))


def _by_image(name: str, image: str, *items: str, fails: set[str]) -> Breakage:
    return Breakage(name=name, image=image, items=items, fails=frozenset(fails))


def _by_post(name: str, manner: Manner, *items: str, fails: set[str], because: str) -> Breakage:
    return Breakage(name=name, manner=manner, items=items, fails=frozenset(fails), because=because)


#: The longest first, so that none is left over at the end.
BREAKAGES = (
    _by_proxy(
        "app answers with errors",
        rules.Errors,
        *"12345679",
        fails={
            "1.usable-at-once",
            "2.launches",
            "3.launches",
            "4.added-launches",
            "5.launches",
            "6.installs-again",
            "7.first-identity",
            "9.terms",
        },
    ),
    _by_proxy(
        "changes refused",
        partial(rules.refused, "The changes to", "is uninstalled"),
        *"456",
        fails={"4.success-message", "5.success-message", "6.success-message"},
    ),
    _by_proxy(
        "My Apps stay as they were",
        rules.StaleTalkdesk,
        *"456",
        fails={"4.removed-icon", "5.paid-plan", "6.icon-gone", "6.not-installed"},
    ),
    _by_post(
        "mail without a contact",
        "leaves out whom to ask",
        *"1456",
        fails={"1.mail", "4.mail", "5.mail", "6.mail"},
        because="lacks a contact",
    ),
    _by_post("no mail", "loses", "1", fails={"1.mail"}, because="no mail about it came"),
    _by_proxy(
        "removed user still in",
        rules.Cache,
        *"34",
        fails={"3.sign-out", "4.removed-link", "4.removed-open-page"},
    ),
    _by_proxy(
        "uninstall leaves access",
        rules.Cache,
        "6",
        fails={"6.no-link", "6.no-open-page", "6.trial-ended"},
    ),
    _by_image("install is slow", "slow", "1", fails={"1.near-real-time"}),
    _by_image("install is refused", "sick", *"17", fails={"1.completed", "7.first-installation"}),
    _by_proxy(
        "second install is refused",
        partial(rules.refused, "is installed", region="us"),
        "7",
        fails={"7.second-installation"},
    ),
    _by_image("approved too early", "early", "1", fails={"1.usable-at-once"}),
    _by_image("another user signed in than launched", "impostor", "3", fails={"3.own-account"}),
    _by_proxy("signed out for good", rules.LockedOut, "3", fails={"3.signs-in-again"}),
    _by_proxy("identity by e-mail", rules.ByEmail, "7", fails={"7.second-identity"}),
    _by_proxy("first agent gets the second's page", rules.LastByEmail, "7", fails={"7.apart"}),
    _by_proxy(
        "pages say nothing",
        rules.SaysNothing,
        *"23",
        fails={
            "2.own-account",
            "2.purpose",
            "2.account-data",
            "2.onboarding",
            "3.own-account",
            "3.purpose",
            "3.account-data",
        },
    ),
    _by_proxy("bar missing", rules.WithoutBar, *"23", fails={"2.bar-visible", "3.bar-visible"}),
    _by_proxy(
        "no room for the bar",
        rules.BeneathTheBar,
        *"23",
        fails={"2.bar-covers-nothing", "3.bar-covers-nothing"},
    ),
    _by_proxy("second login asked", rules.OwnLogin, *"23", fails={"2.no-login", "3.no-login"}),
    _by_proxy("bar shown to a reseller", rules.BarForAll, "8.2", "8.3", fails={"8.2.no-bar", "8.3.no-bar"}),
    _by_proxy(
        "bar covered by the app", partial(over_the_bar, takes_clicks=True), "2", fails={"2.bar-visible"}
    ),
    _by_proxy(
        "bar painted over by the app", partial(over_the_bar, takes_clicks=False), "2", fails={"2.bar-visible"}
    ),
    _by_proxy("dead terms link", rules.DeadTerms, "1", "9", fails={"1.terms", "9.terms"}),
    _by_proxy("wrong region's host", rules.WrongRegion, "2", fails={"2.region-host"}),
    _by_proxy("expired token refused in the background", rules.ExpiredToken, "2", fails={"2.expired-tokens"}),
    _by_proxy("expired token told to the user", rules.SaysExpired, "2", fails={"2.expired-tokens"}),
    _by_proxy("no help to begin with", rules.WithoutHelp, "2", fails={"2.onboarding"}),
    _by_proxy("account not known", rules.WithoutAccount, "2", fails={"2.account-data"}),
    _by_proxy("nobody ticked in the gear", rules.nobody_ticked, "4", fails={"4.gear"}),
    _by_proxy("dead install link", rules.DeadInstallLink, "1", fails={"1.install-link"}),
    _by_proxy("no free plan", rules.without_free_plan, "1", fails={"1.free-plan"}),
    _by_proxy("one licence alone", rules.one_licence, "1", fails={"1.two-users"}),
)

_SLOW = (
    "it would hold all other walks for eleven seconds; 1.near-real-time is judged by the same few lines, and "
    "“install is slow” fails it"
)
#: Checks that nothing breaks, each with the reason. Those of item 8 are items 1 to 6 once more.
UNBROKEN = {"4.near-real-time": _SLOW, "5.near-real-time": _SLOW, "6.near-real-time": _SLOW}
