"""Names: the regions, their hosts, the links Talkdesk writes, and how it writes times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

Region = Literal["us", "eu", "ca"]
REGIONS: tuple[Region, ...] = get_args(Region)
DOMAIN = "talkdesk.localhost"

_API = re.compile(rf"api\.({'|'.join(REGIONS)})\.{re.escape(DOMAIN)}")
_IDENTITY = re.compile(rf"([a-z0-9][a-z0-9-]{{0,62}})\.id\.({'|'.join(REGIONS)})\.{re.escape(DOMAIN)}")


@dataclass(frozen=True)
class Host:
    """One of the stand-in's hosts: the gateway of a region, or (``account`` set) an identity host."""

    region: str
    account: str | None = None


def host(name: str) -> Host | None:
    """The host of that name (without port), or None if it is no host of Talkdesk's."""
    if match := _API.fullmatch(name.lower()):
        return Host(region=match[1])
    if match := _IDENTITY.fullmatch(name.lower()):
        return Host(region=match[2], account=match[1])
    return None


def api_root(region: str) -> str:
    """Base URL of a region's API gateway: ``_links.root``."""
    return f"https://api.{region}.{DOMAIN}"


def identity_root(region: str, account: str) -> str:
    """Base URL of an account's identity host."""
    return f"https://{account}.id.{region}.{DOMAIN}"


def sign_on_root(region: str, account: str, *, port: int | None) -> str:
    """Base URL of an account's identity host for browsers: plain http, on the listener at ``port``."""
    root = identity_root(region, account)
    return root if port is None else f"{root.replace('https', 'http', 1)}:{port}"


def certificate_names() -> list[str]:
    """What the TLS listener's certificate covers."""
    return [name for region in REGIONS for name in (f"api.{region}.{DOMAIN}", f"*.id.{region}.{DOMAIN}")]


def region_table() -> dict[str, dict[str, str]]:
    """Host table as a partner configures it: region → api host and identity domain."""
    return {
        region: {"api": f"api.{region}.{DOMAIN}", "identity": f"id.{region}.{DOMAIN}"} for region in REGIONS
    }


def seconds_time(moment: datetime) -> str:
    """``2016-06-14T16:23:07Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def millis_time(moment: datetime) -> str:
    """``2016-06-14T16:23:07.123Z``: the Apps API's updated_at tells two changes in one second apart."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def offset_time(moment: datetime) -> str:
    """``2017-08-18T10:29:52.000+00:00``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
