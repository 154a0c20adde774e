"""Talkdesk's HTTP API for partner apps, as this product uses it.

The public names are these; everything else is an implementation detail.
"""

from talkdesk_client.api import TalkdeskClient
from talkdesk_client.clock import Clock
from talkdesk_client.credentials import Credentials, InstallationRef
from talkdesk_client.errors import (
    BadRequest,
    Conflict,
    FieldProblem,
    Forbidden,
    ForeignHost,
    NotFound,
    NoUser,
    RateLimited,
    ServerError,
    TalkdeskError,
    TokenRefused,
    TransportError,
    Unauthorized,
    UnexpectedAnswer,
    UnusableCredentials,
    UnusableInput,
)
from talkdesk_client.hosts import Hosts
from talkdesk_client.links import token_url
from talkdesk_client.models import Account, Installation, SignatureKey, State, Subscription, Trial, User
from talkdesk_client.options import ClientOptions
from talkdesk_client.scim import ScimUser
from talkdesk_client.sign_on import UserInfo, UserToken, authorize_url, pkce_challenge
from talkdesk_client.transport import http_client

__all__ = [
    "Account",
    "BadRequest",
    "ClientOptions",
    "Clock",
    "Conflict",
    "Credentials",
    "FieldProblem",
    "Forbidden",
    "ForeignHost",
    "Hosts",
    "Installation",
    "InstallationRef",
    "NoUser",
    "NotFound",
    "RateLimited",
    "ScimUser",
    "ServerError",
    "SignatureKey",
    "State",
    "Subscription",
    "TalkdeskClient",
    "TalkdeskError",
    "TokenRefused",
    "TransportError",
    "Trial",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnusableCredentials",
    "UnusableInput",
    "User",
    "UserInfo",
    "UserToken",
    "authorize_url",
    "http_client",
    "pkce_challenge",
    "token_url",
]
