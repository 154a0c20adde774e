"""What one installation authenticates itself with, and how it is addressed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

if TYPE_CHECKING:
    from talkdesk_client.hosts import Hosts


def _blank_is_absent(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_is_absent)]
OptionalText = Annotated[str | None, BeforeValidator(_blank_is_absent)]


class Credentials(BaseModel):
    """One set of an installation's OAuth credentials, as ``app.installed`` delivers them.

    ``private_key`` is Base64 PKCS#8, with or without PEM armour; ``key_id`` and ``key_algorithm`` (ES256,
    ES384, ES512, PS256, PS384, PS512) belong to it. Empty strings count as absent. Two sets are equal when
    every part is; nothing secret is in the repr or in a validation error.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    client_id: Annotated[str, Field(min_length=1)]
    client_secret: OptionalSecret = None
    private_key: OptionalSecret = None
    key_id: OptionalText = None
    key_algorithm: OptionalText = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationRef:
    """One installation as seen by the client: who it is, where its Talkdesk is, what opens the door.

    ``root`` and ``token_url`` come from an event's links and are checked against ``hosts`` at every call,
    before anything is sent.
    """

    app_id: str
    account_id: str
    installation_id: str
    root: str
    token_url: str
    hosts: Hosts
    credentials: Credentials
