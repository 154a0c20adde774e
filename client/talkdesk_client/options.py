"""Settings of the client. What Talkdesk does not document is one of these, with the likeliest reading."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _split(value: object) -> object:
    """Environment variables hold lists with commas between."""
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


Statuses = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_split)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ClientOptions(BaseSettings):
    """Each may be given as ``TALKDESK_CLIENT_<NAME>``; durations are seconds, lists comma-separated.

    *Authentication*

    ``auth_method``: ``private_key_jwt`` (Talkdesk demands it of listed apps) or ``client_secret_basic``.
    ``assertion_audience``: the JWT's ``aud``: the ``token_url``, or its ``origin`` (one page has it so).
    ``basic_encoding``: ``plain`` id and secret in the Basic header, or ``form``-encoded first as in RFC 6749.
    ``apps_read_scope``, ``apps_write_scope``, ``account_read_scope``: scope strings of the token requests for
    reading, for answering, and for ``GET /account``; empty: no scope is named and all granted ones come back.
    ``scim_scope``: the scope string for the roles of users.
    ``pkce``: whether codes are bound to a verifier (RFC 7636, S256), which Talkdesk does not document. The
    caller makes the pair.
    ``token_life``: assumed where a token comes without ``expires_in``.
    ``token_renew_before``: a token is renewed so long before it expires (at most half its life).

    *Answers*

    ``page_size_parameter``, ``page_size``: query of the first page of users; a size of 0 leaves it out.
    ``scim_page_size``: ``count`` of a page of SCIM; 0 leaves it out.
    ``max_pages``, ``max_users``: bounds of one listing; ``max_bytes`` of one body, decompressed.
    ``users_total``: ``require`` takes a listing for complete only if it has as many entries as its ``total``
    says (it is read again twice, then refused); ``ignore`` follows ``next`` alone.
    ``no_trial_statuses``, ``no_trial_states``: which answers to ``GET …/trial`` mean that there is no trial,
    besides an empty body, ``null``, ``{}`` and 204.
    ``answer_conflict_statuses``: which of ``POST …/state`` mean "nothing pending, or answered otherwise".

    *Limits*

    ``concurrency``: requests under way at once for one installation.
    ``attempt_timeout``: the longest one request may take in all.
    ``retry_budget``: so long after the first request of a call none of its repetitions begins any more (a
    token fetched for the call has the same budget of its own).
    ``retry_attempts``: requests of one call at the most; ``retry_first``, ``retry_longest``: bounds of the
    exponential, jittered wait between two.
    """

    model_config = SettingsConfigDict(env_prefix="TALKDESK_CLIENT_", frozen=True, extra="ignore")

    auth_method: Literal["private_key_jwt", "client_secret_basic"] = "private_key_jwt"
    assertion_audience: Literal["token_url", "origin"] = "token_url"
    basic_encoding: Literal["plain", "form"] = "plain"
    apps_read_scope: str = "apps:read"
    apps_write_scope: str = "apps:write"
    account_read_scope: str = "account:read"
    scim_scope: str = "scim"
    pkce: bool = False
    token_life: Seconds = 600.0
    token_renew_before: Annotated[float, Field(ge=0)] = 60.0

    page_size_parameter: Annotated[str, Field(min_length=1)] = "per_page"
    page_size: Annotated[int, Field(ge=0)] = 100
    scim_page_size: Annotated[int, Field(ge=0)] = 100
    max_pages: Annotated[int, Field(ge=1)] = 2_000
    max_users: Annotated[int, Field(ge=1)] = 100_000
    max_bytes: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024
    users_total: Literal["require", "ignore"] = "require"
    no_trial_statuses: Statuses = (404,)
    no_trial_states: Names = ("none", "not_started")
    answer_conflict_statuses: Statuses = (409, 422)

    concurrency: Annotated[int, Field(ge=1)] = 4
    attempt_timeout: Seconds = 20.0
    retry_budget: Seconds = 30.0
    retry_attempts: Annotated[int, Field(ge=1)] = 4
    retry_first: Seconds = 0.25
    retry_longest: Seconds = 8.0
