"""What the starter is written from."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+")
_IMAGE = re.compile(r"[a-z0-9]([a-zA-Z0-9./:@_-]*[a-zA-Z0-9])?")
#: Scopes of the app's version at Talkdesk: who signs in, the account, the users, and the answers to requests.
SCOPES = ("openid", "account:read", "users:read", "apps:read", "apps:write")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What an app's author says of it.

    ``name`` is a DNS label, ``title`` what customers know it as; customers' tenants live under ``domain``;
    ``image`` is the workload's image, ``command`` what runs in its place on this machine; ``contact`` is an
    e-mail address.
    """

    name: str
    title: str
    domain: str
    image: str
    command: str
    contact: str

    @property
    def launch_host(self) -> str:
        """Where users arrive from Talkdesk."""
        return f"launch.{self.domain}"

    @property
    def events_host(self) -> str:
        """Where Talkdesk's events arrive."""
        return f"events.{self.domain}"

    @property
    def image_name(self) -> str:
        """The image without tag and digest."""
        folder, slash, last = self.image.partition("@")[0].rpartition("/")
        return folder + slash + last.partition(":")[0]

    def problems(self) -> list[str]:
        """What is wrong, one line each, beginning with the option's name."""
        checks = (
            ("app", self.name, _LABEL, "small letters, digits and hyphens, at most 40, e.g. greeter"),
            ("domain", self.domain, _HOST, "a domain of its own, e.g. greeter.example.com"),
            ("image", self.image, _IMAGE, "an image's name, e.g. registry.example.com/greeter:1"),
            ("contact", self.contact, _ADDRESS, "an e-mail address"),
        )
        wrong = [
            f"--{option}: {value!r} is not {what}"
            for option, value, pattern, what in checks
            if not pattern.fullmatch(value)
        ]
        for option, value in (("title", self.title), ("command", self.command)):
            if not value.strip() or not value.isprintable():
                wrong.append(f"--{option}: {value!r} is not one line of text")
        return wrong


def answers(
    *,
    name: str,
    title: str | None = None,
    domain: str | None = None,
    image: str | None = None,
    command: str | None = None,
    contact: str | None = None,
) -> Answers:
    """What was said, and what follows from the name where nothing was."""
    return Answers(
        name=name,
        title=title if title is not None else name.replace("-", " ").capitalize(),
        domain=domain or f"{name}.example.com",
        image=image or f"registry.example.com/{name}:1",
        command=command or f"python3 {name}.py",
        contact=contact or f"help@{domain or f'{name}.example.com'}",
    )
