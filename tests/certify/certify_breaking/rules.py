"""What the proxy does to the app, one rule for each way of being broken."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from certify_breaking.proxy import Answer, Asked, Rule, leads_to, page

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from post import Manner, Post

_OVER_THE_BAR = """
addEventListener('load', () => setTimeout(() => {
  const over = document.createElement('div');
  over.popover = 'manual';
  Object.assign(over.style, {position: 'fixed', inset: '0 auto auto 30%', width: '200px', height: '40px',
    margin: 0, border: 0, background: '#fff', pointerEvents: 'POINTER'});
  document.body.append(over);
  over.showPopover();
}, 700));
"""


def _of_app(asked: Asked) -> bool:
    return asked.host.endswith(".demo.localhost") and not asked.host.startswith(("launch.", "www."))


def _page_of_app(asked: Asked, answer: Answer) -> bool:
    """A page of the app's that was opened and is there."""
    return _of_app(asked) and asked.opens_page and answer.status == 200


class WithoutBar(Rule):
    """Something on the way takes the bar's script out of the pages."""

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        bar = '<script src="/_td/bar.js" defer></script>'
        return answer.replace(bar, "") if asked.opens_page and bar.encode() in answer.body else answer


class AppScript(Rule):
    """The app's own script does more than it should."""

    def __init__(self, more: str) -> None:
        self._more = more

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _of_app(asked) and asked.path == "/static/app.js":
            answer.body += self._more.encode()
        return answer


def over_the_bar(*, takes_clicks: bool) -> Rule:
    """Something of the app's comes over a part of the bar, well after the page has loaded."""
    return AppScript(_OVER_THE_BAR.replace("POINTER", "auto" if takes_clicks else "none"))


class BeneathTheBar(Rule):
    """The app leaves no room for the bar."""

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _of_app(asked) and asked.path == "/static/style.css":
            answer.body += b"\nbody { position: relative; top: -40px }"
        return answer


class BarForAll(Rule):
    """The app draws a bar by itself, whoever looks."""

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _page_of_app(asked, answer):
            return answer.replace("</main>", '</main><section aria-label="Talkdesk">Talkdesk</section>')
        return answer


class OwnLogin(Rule):
    """The app asks for a password of its own."""

    def instead(self, asked: Asked) -> Answer | None:
        if _of_app(asked) and asked.path == "/":
            return page('<h1>Callboard</h1><form><input type="password" aria-label="Password"></form>')
        return None


class Cache(Rule):
    """A cache before the app keeps pages, and shows them where the app refuses."""

    def __init__(self) -> None:
        self._kept: dict[str, Answer] = {}
        self._newest: Answer | None = None

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _of_app(asked) and answer.is_page and answer.status == 200 and asked.method == "GET":
            self._kept[asked.host] = self._newest = answer
        if answer.status in (401, 403) and asked.host.endswith(".demo.localhost"):
            return self._kept.get(asked.host) or self._newest or answer
        return answer


class LockedOut(Rule):
    """Once somebody has signed out of Talkdesk the app refuses whoever signs on."""

    def __init__(self) -> None:
        self._signed_out = False

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if ".id." in asked.host and asked.path == "/logout":
            self._signed_out = True
        if self._signed_out and _page_of_app(asked, answer):
            return page("<h1>You have no access</h1>", status=403)
        return answer


class ByEmail(Rule):
    """A cache that takes an e-mail address for who somebody is."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Answer] = {}

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _page_of_app(asked, answer):
            address = re.search(rb"[\w.-]+@agency\.example", answer.body)
            if address:
                return self._kept.setdefault(address[0], answer)
        return answer


class DeadTerms(Rule):
    """The page of the terms is gone."""

    def instead(self, asked: Asked) -> Answer | None:
        gone = asked.host == "www.demo.localhost" and asked.path.startswith("/terms")
        return page("<h1>Not found</h1>", status=404) if gone else None


class WrongRegion(Rule):
    """The sign-on goes by way of another region's host, which here passes it on to the right one."""

    def instead(self, asked: Asked) -> Answer | None:
        if ".id.us.talkdesk.localhost" in asked.host and asked.path == "/oauth/authorize":
            return leads_to(asked.url.replace(".id.us.", ".id.eu."))
        return None

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if asked.path == "/_td/start" and "Location" in answer.headers:
            wrong = answer.headers["Location"].replace(".id.eu.", ".id.us.")
            return Answer(answer.status, _with(answer.headers, Location=wrong))
        return answer


class ExpiredToken(Rule):
    """What scripts ask for is refused for a token that has expired, once Talkdesk's clock was moved."""

    def __init__(self) -> None:
        self._expired = False

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if asked.method == "POST" and asked.path == "/controls/clock":
            self._expired = True
        if self._expired and _of_app(asked) and asked.in_background:
            return page('{"error": "the access token has expired"}', status=401)
        return answer


class SaysExpired(Rule):
    """The app's page speaks of an expired token, once Talkdesk's clock was moved."""

    def __init__(self) -> None:
        self._expired = False

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if asked.method == "POST" and asked.path == "/controls/clock":
            self._expired = True
        if self._expired and _of_app(asked) and asked.opens_page:
            return answer.replace("<main>", "<main><p>Your access token has expired.</p>")
        return answer


class WithoutHelp(Rule):
    """Nothing helps a newcomer to begin."""

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _page_of_app(asked, answer):
            text = answer.body.decode()
            text = re.sub(r"<dialog.*?</dialog>", "", text, flags=re.DOTALL).replace(
                "Show me around", "Again"
            )
            answer.body = text.encode()
        return answer


class WithoutAccount(Rule):
    """The app does not know whose account it is."""

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _page_of_app(asked, answer):
            answer.body = re.sub(rb"(?i)customer[ -][0-9a-f]{6}", b"your company", answer.body)
        return answer


class DeadInstallLink(Rule):
    """Talkdesk knows no version behind the private-install link."""

    def instead(self, asked: Asked) -> Answer | None:
        gone = asked.host.startswith("console.") and asked.path.startswith("/install/")
        return page("<h1>No such version</h1>", status=404) if gone else None


class Dialogues(Rule):
    """In the dialogues in which an app is installed and managed, ``old`` reads ``new``.

    In those of accounts in ``region`` alone, where one is named.
    """

    def __init__(self, old: str, new: str, *, region: str = "") -> None:
        self._old, self._new, self._of = old.encode(), new.encode(), f".id.{region}"

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        dialogue = asked.path.startswith(("/marketplace/install/", "/apps/"))
        if answer.is_page and dialogue and self._of in asked.host:
            answer.body = re.sub(self._old, self._new, answer.body)
        return answer


def without_free_plan() -> Rule:
    """The version has no trial."""
    return Dialogues("(?<=>)Free (?:trial|for 30 days)(?=<)", "$5 a month")


def one_licence() -> Rule:
    """The plan has a licence for who installs it alone, whose box cannot be unticked."""
    return Dialogues(r'<label class="choice"><input type="checkbox"(?![^>]* disabled).*?</label>', "")


def nobody_ticked() -> Rule:
    """The gear does not know who has the app."""
    return Dialogues(r'(<input type="checkbox" name="users"[^>]*?) checked>', r"\1>")


def refused(*said: str, region: str = "") -> Rule:
    """What would end with one of these messages of success is refused by the app."""
    done = rf'(?s)data-state="succeeded"(?=.*(?:{"|".join(said)}))'
    return Dialogues(done, 'data-state="failed"', region=region)


class StaleTalkdesk(Rule):
    """My Apps stay as each person first had them with the app; the gear says neither prices nor the end."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Answer] = {}

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if not answer.is_page:
            return answer
        if asked.path == "/apps":
            who = (asked.host, asked.headers.get("Cookie", ""))
            if b"Open </span><strong>Callboard" in answer.body:
                self._kept.setdefault(who, answer)
            return self._kept.get(who, answer)
        if asked.path.startswith("/apps/"):
            text = re.sub(r"\$\d+", "On request,", answer.body.decode())
            answer.body = text.replace("is not installed in", "is in").encode()
        return answer


class Errors(Rule):
    """Whatever page the app would answer with is an error of the app's."""

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _page_of_app(asked, answer):
            return page("<h1>Internal server error</h1>", status=500)
        return answer


class SaysNothing(Rule):
    """The app's pages are there, and say next to nothing."""

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _page_of_app(asked, answer):
            answer.body = re.sub(rb"(?s)<body.*", b"<body><main>Good morning</main></body>", answer.body)
        return answer


class LastByEmail(Rule):
    """A cache by e-mail address: who comes again gets what was newest for that address."""

    def __init__(self) -> None:
        self._newest: dict[bytes, Answer] = {}
        self._seen: set[str] = set()

    def changed(self, asked: Asked, answer: Answer) -> Answer:
        if _page_of_app(asked, answer):
            address = re.search(rb"[\w.-]+@agency\.example", answer.body)
            if address and asked.host in self._seen:
                return self._newest[address[0]]
            if address:
                self._seen.add(asked.host)
                self._newest[address[0]] = answer
        return answer


class Addressees(Rule):
    """Breaks no page: it tells ``post`` whose mails are to suffer, the account's whose pages are opened."""

    def __init__(self, post: Post, manner: Manner) -> None:
        self._post, self._manner = post, manner

    def instead(self, asked: Asked) -> Answer | None:
        account, found, _ = asked.host.partition(".id.")
        if found:
            self._post.manners[account] = self._manner
        return None


def _with(headers: CIMultiDict[str], **changes: str) -> CIMultiDict[str]:
    changed = headers.copy()
    changed.update(changes)
    return changed
