"""The bar's loader gets into every document that a person opens, once, and into nothing else."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conftest import Answer, Edge

pytestmark = [pytest.mark.processes, pytest.mark.asyncio(loop_scope="module")]

TAG = '<script src="/_td/bar.js" defer></script>'
NAVIGATION = {"sec-fetch-dest": "document", "accept": "text/html", "accept-encoding": "gzip, br, zstd"}
HTML = "text/html; charset=utf-8"


async def open_page(
    edge: Edge,
    *chunks: bytes,
    headers: Mapping[str, str] | None = None,
    request: Mapping[str, str] = NAVIGATION,
    method: str = "GET",
    status: int = 200,
) -> Answer:
    """Let the app answer a navigation with these chunks, each in a piece of its own."""
    edge.bar()

    async def answer(asked: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"content-type": HTML, **(headers or {})})
        response.enable_chunked_encoding()
        await response.prepare(asked)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio_turn()
        await response.write_eof()
        return response

    edge.app.answer = answer
    return await edge.request(method, headers=request)


async def asyncio_turn() -> None:
    """Let what was written leave as a packet of its own."""
    import asyncio

    for _ in range(3):
        await asyncio.sleep(0)


PAGES = {
    "plain": ("<!doctype html><html><head>|<title>x</title></head><body>b</body></html>"),
    "upper case": ("<!DOCTYPE HTML><HTML LANG=EN><HEAD>|<TITLE>x</TITLE></HEAD></HTML>"),
    "head with attributes": ('<html><head data-x="a > b" prefix=\'og: >\'>|<title>x</title>'),
    "html with a > in an attribute": ('<html data-x="<head>"><head>|<title>x</title>'),
    "byte order mark": ("\ufeff<!doctype html><head>|</head>"),
    "comment with a head in it": ("<!-- <head> --><!doctype html><html><!--><head>|<title>"),
    "comment that ends oddly": ("<!-- a --!><!---><head>|<title>"),
    "no head": ("<!doctype html><title>|x</title>".replace("<title>|", "|<title>")),
    "no head but a header": ("<!doctype html>\n|<header>not a head</header>"),
    "no html at all": ("|just text"),
    "body only": ("<html>\n|<body><p>x</p></body></html>"),
    "a script that writes a head": ("<html>|<script>document.write('<head>')</script><head></head>"),
    "white space first": ("\n\n <!doctype html>\n<html>\n<head>|\n</head>"),
    "xml declaration": ('<?xml version="1.0"?><!doctype html><html xmlns="x"><head>|</head>'),
    "stray end tag": ("<!doctype html>|</p><head></head>"),
    "empty but for a doctype": ("<!doctype html>|"),
    "ends in a tag": ("<!doctype html>|<ht"),
    "ends in a comment": ("|<!-- never closed"),
    "empty head": ("<html><head/>|<title>x</title>"),
}


@pytest.mark.parametrize("name", PAGES)
async def test_the_loader_comes_first_in_the_head_or_before_the_first_element(edge: Edge, name: str) -> None:
    before, after = PAGES[name].split("|")
    if name == "ends in a comment":  # what never ends can be told only at the end
        before, after = "", ""
    for size in (100000, 7, 1):
        page = PAGES[name].replace("|", "").encode()
        chunks = [page[at : at + size] for at in range(0, len(page), size)]
        answer = await open_page(edge, *chunks)
        assert answer.status == 200
        if name == "ends in a comment":
            assert answer.text.count(TAG) == 1
            assert answer.text.replace(TAG, "").encode() == page
        else:
            assert answer.text == before + TAG + after, f"in pieces of {size}"
