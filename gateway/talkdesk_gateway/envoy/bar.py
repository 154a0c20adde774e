"""The filters behind the Talkdesk bar: off, but on the routes of navigations, where the decision wants it.

What they do is for the eye: no one is let in or kept out by them, and Envoy lets a page through unchanged
where the script fails.
"""

from __future__ import annotations

from importlib import resources

from talkdesk_gateway.envoy.names import VERDICT, Json, typed

#: The one filter, and the chain that it stands for.
_BAR = "bar"
_DECOMPRESSORS = ("gzip", "brotli", "zstd")


def bar_filter() -> Json:
    """One filter that stands for all of them: of each that is off, every request would pay a microsecond."""
    composite = typed(
        "extensions.filters.http.composite.v3.Composite",
        named_filter_chains={_BAR: {"typed_config": _filters()}},
        matcher=_where_it_is_wanted(),
    )
    return {"name": _BAR, "typed_config": composite, "disabled": True}


def bar_on_route() -> Json:
    """``typed_per_filter_config`` of a route on which they work."""
    return {_BAR: typed("config.route.v3.FilterConfig", config={}, disabled=False)}


def _where_it_is_wanted() -> Json:
    """By the decision's word, so that nothing unpacks a page that is to have no bar."""
    word = {"filter": VERDICT, "path": [{"key": "x-td-bar"}]}
    wanted = typed(
        "extensions.matching.input_matchers.metadata.v3.Metadata", value={"string_match": {"exact": "1"}}
    )
    chain = typed("extensions.filters.http.composite.v3.ExecuteFilterAction", filter_chain_name=_BAR)
    return {
        "matcher_list": {
            "matchers": [
                {
                    "predicate": {
                        "single_predicate": {
                            "input": {
                                "name": "word",
                                "typed_config": typed(
                                    "extensions.matching.common_inputs.network.v3.DynamicMetadataInput",
                                    **word,
                                ),
                            },
                            "custom_match": {"name": "wanted", "typed_config": wanted},
                        }
                    },
                    "on_match": {"action": {"name": _BAR, "typed_config": chain}},
                }
            ]
        }
    }


def _filters() -> list[Json]:
    """In this order: a page is decompressed before the script sees it."""
    script = resources.files("talkdesk_gateway.bar").joinpath("bar.lua").read_text(encoding="utf-8")
    lua = typed(
        "extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": script},
        # Which route a request has was decided before.
        clear_route_cache=False,
    )
    return [
        {"name": "talkdesk.bar", "typed_config": lua},
        *({"name": f"decompress.{kind}", "typed_config": _decompressor(kind)} for kind in _DECOMPRESSORS),
    ]


def _decompressor(kind: str) -> Json:
    """An app may compress although it was not asked to; only answers are decompressed, never requests."""
    kinds = {
        "gzip": typed("extensions.compression.gzip.decompressor.v3.Gzip"),
        "brotli": typed("extensions.compression.brotli.decompressor.v3.Brotli"),
        "zstd": typed("extensions.compression.zstd.decompressor.v3.Zstd"),
    }
    return typed(
        "extensions.filters.http.decompressor.v3.Decompressor",
        decompressor_library={"name": kind, "typed_config": kinds[kind]},
        # What is not decompressed has no bar, and the gateway is part of the app's own server.
        response_direction_config={"common_config": {"ignore_no_transform_header": True}},
        request_direction_config={
            "advertise_accept_encoding": False,
            "common_config": {"enabled": {"default_value": False, "runtime_key": "talkdesk.never"}},
        },
    )
