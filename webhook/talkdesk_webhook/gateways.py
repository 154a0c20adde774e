"""Signature keys from Talkdesk's gateways, through the Talkdesk client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_client import ClientOptions, NotFound, TalkdeskError, UnusableInput
from talkdesk_webhook.keys import Fetch, FetchedKey, GatewayError

if TYPE_CHECKING:
    from talkdesk_client import TalkdeskClient
    from talkdesk_webhook.metrics import Metrics


def key_options(*, budget: float) -> ClientOptions:
    """Client options under which one look-up fits into a request's ``budget`` (seconds)."""
    return ClientOptions(
        attempt_timeout=budget / 3, retry_budget=budget / 3, retry_attempts=2, max_bytes=65536
    )


def fetch_with(client: TalkdeskClient, metrics: Metrics) -> Fetch:
    """A Fetch that asks Talkdesk; every failure but a 404 is a GatewayError."""

    async def fetch(gateway: str, key_id: str, /) -> FetchedKey | None:
        try:
            key = await client.signature_key(gateway, key_id)
        except (NotFound, UnusableInput):
            metrics.key_look_up("unknown")
            return None
        except TalkdeskError as error:
            metrics.key_look_up("failed")
            raise GatewayError(f"{gateway}: {error}") from None
        metrics.key_look_up("found")
        return FetchedKey(public_key=key.public_key, expires_at=key.expires_at)

    return fetch
