"""The bar's loader gets into every document that a person opens, once, and into nothing else."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import playwright
import pytest
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    apart: bool = False,
) -> Answer:
    """Let the app answer a navigation with these chunks; ``apart``: Envoy sees one after the other."""
    edge.bar()

    def received() -> int:
        return edge.envoy.stats("^cluster.tenant.upstream_cx_rx_bytes_total$").popitem()[1]

    async def answer(asked: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"content-type": HTML, **(headers or {})})
        response.enable_chunked_encoding()
        await response.prepare(asked)
        for chunk in chunks:
            before = received() if apart else 0
            await response.write(chunk)
            if apart:
                await edge.eventually(lambda before=before: received() > before)
        await response.write_eof()
        return response

    edge.app.answer = answer
    return await edge.request(method, headers=request)


PAGES = {
    "plain": ("<!doctype html><html><head>|<title>x</title></head><body>b</body></html>"),
    "upper case": ("<!DOCTYPE HTML><HTML LANG=EN><HEAD>|<TITLE>x</TITLE></HEAD></HTML>"),
    "head with attributes": ("<html><head data-x=\"a > b\" prefix='og: >'>|<title>x</title>"),
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
    page = PAGES[name].replace("|", "").encode()
    for size in (len(page), 7, 1):
        chunks = [page[at : at + size] for at in range(0, len(page), size)]
        answer = await open_page(edge, *chunks, apart=True)
        assert answer.status == 200
        if name == "ends in a comment":
            assert answer.text.count(TAG) == 1
            assert answer.text.replace(TAG, "").encode() == page
        else:
            assert answer.text == before + TAG + after, f"in pieces of {size}"


PLAIN = b"<!doctype html><html><head><title>x</title></head><body>b</body></html>"
BARRED = PLAIN.replace(b"<head>", b"<head>" + TAG.encode())


def stored_brotli(data: bytes) -> bytes:
    """A brotli stream that holds ``data`` as it is (RFC 7932, section 9.2: an uncompressed meta-block)."""
    return ((len(data) - 1) << 4 | 1 << 20).to_bytes(3, "little") + data + b"\x03"


def stored_zstd(data: bytes) -> bytes:
    """A zstd frame of one raw block (RFC 8878, section 3.1.1)."""
    block = (len(data) << 3 | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + block + data


def brotli(data: bytes) -> bytes:
    """Compressed as apps do it, by the Node that Playwright's wheel brings."""
    node = Path(inspect.getfile(playwright)).parent / "driver" / "node"
    script = "process.stdout.write(require('zlib').brotliCompressSync(require('fs').readFileSync(0)))"
    return subprocess.run([node, "-e", script], input=data, capture_output=True, check=True).stdout


async def test_a_page_that_brotli_has_compressed_comes_whole_and_with_the_loader(edge: Edge) -> None:
    page = PLAIN.replace(b"<body>b", b"<body>" + b"".join(b"<p>line %d</p>" % line for line in range(2000)))
    packed = brotli(page)
    assert len(packed) * 3 < len(page)
    chunks = [packed[at : at + 256] for at in range(1, len(packed), 256)]
    answer = await open_page(edge, packed[:1], *chunks, headers={"content-encoding": "br"}, apart=True)
    assert answer.body == page.replace(b"<head>", b"<head>" + TAG.encode())
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("br", stored_brotli), ("zstd", stored_zstd)]
)
async def test_a_page_that_comes_compressed_all_the_same_is_decompressed(
    edge: Edge, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    packed = encode(PLAIN)
    headers = {"content-encoding": coding, "cache-control": "no-transform"}
    answer = await open_page(edge, packed[:9], packed[9:], headers=headers, apart=True)
    assert answer.body == BARRED
    assert "content-encoding" not in answer.headers


async def test_navigations_ask_the_app_for_a_whole_page_without_compression(edge: Edge) -> None:
    asks = {**NAVIGATION, "if-none-match": '"1"', "if-modified-since": "Mon, 01 Jan 2024 00:00:00 GMT"}
    await open_page(edge, PLAIN, request=asks)
    (heard,) = edge.app.heard
    assert heard.all("accept-encoding") == ["identity"]
    assert heard.all("if-none-match") == heard.all("if-modified-since") == []


async def test_headers_that_tell_of_the_unchanged_bytes_go(edge: Edge) -> None:
    told = {"etag": '"abc"', "accept-ranges": "bytes", "content-digest": "sha-256=:x:", "digest": "x=y"}
    answer = await open_page(edge, PLAIN, headers=told)
    assert answer.headers["etag"] == 'W/"abc"'
    assert not {"accept-ranges", "content-digest", "digest", "content-length"} & {
        name.lower() for name in answer.headers
    }


@pytest.mark.parametrize("status", [200, 201, 401, 404, 500, 503])
async def test_error_pages_of_the_app_have_the_bar_too(edge: Edge, status: int) -> None:
    answer = await open_page(edge, PLAIN, status=status)
    assert (answer.status, answer.body) == (status, BARRED)


async def test_a_page_that_answers_a_form_has_the_bar_too(edge: Edge) -> None:
    answer = await open_page(edge, PLAIN, method="POST")
    assert answer.body == BARRED


#: With characters of one, two and three bytes in UTF-8, a pair of surrogates, and a half of one.
WORDS = "<!doctype html><!-- ß€😀\ud83d --><html lang='ß'><head>|<title>ß€😀\ud83d</title><body>ß€😀\ud83dx"
LITTLE, BIG = b"\xff\xfe", b"\xfe\xff"
ENCODED: dict[str, tuple[str, str, bytes]] = {
    # name: (charset of the header, how the page is encoded, its first bytes)
    "UTF-16 by its type": ("utf-16", "utf-16-le", b""),
    "UTF-16LE by its type": ('"UTF-16LE"', "utf-16-le", b""),
    "UTF-16BE by its type": ("utf-16be", "utf-16-be", b""),
    "UTF-16LE by its mark": ("", "utf-16-le", LITTLE),
    "UTF-16BE by its mark": ("", "utf-16-be", BIG),
    "a mark that knows better than UTF-8": ("utf-8", "utf-16-be", BIG),
    "a mark that knows better than UTF-16": ("utf-16le", "utf-16-be", BIG),
    "UTF-8 by its mark": ("utf-16", "utf-8", b"\xef\xbb\xbf"),
    "an encoding that browsers do not know": ("x-mine", "utf-8", b""),
    "a name that promises UTF-32": ("utf-32", "utf-8", b""),
}


@pytest.mark.parametrize("name", ENCODED)
async def test_the_loader_comes_in_the_pages_own_encoding(edge: Edge, name: str) -> None:
    charset, encoding, mark = ENCODED[name]
    kind = f"text/html; charset={charset}" if charset else "text/html"

    def encoded(text: str) -> bytes:
        return mark + text.encode(encoding, "surrogatepass")

    page, expected = encoded(WORDS.replace("|", "")), encoded(WORDS.replace("|", TAG))
    for size in (len(page), 7, 1):
        chunks = [page[at : at + size] for at in range(0, len(page), size)]
        answer = await open_page(edge, *chunks, headers={"content-type": kind}, apart=True)
        assert answer.body == expected, f"in pieces of {size}"


@pytest.mark.parametrize("end", ["", "x", "<", "<!-- ß", "<html ß"])
@pytest.mark.parametrize("odd", [b"", b"\x3c"])
async def test_a_page_in_utf_16_that_ends_anywhere_loses_nothing(edge: Edge, end: str, odd: bytes) -> None:
    page = LITTLE + f"<!doctype html>{end}".encode("utf-16-le") + odd
    for size in (len(page), 1):
        chunks = [page[at : at + size] for at in range(0, len(page), size)]
        answer = await open_page(edge, *chunks, headers={"content-type": "text/html"}, apart=True)
        assert answer.body.replace(TAG.encode("utf-16-le"), b"", 1) == page
        assert TAG.encode("utf-16-le") in answer.body


async def test_a_policy_in_a_meta_element_gains_it_in_utf_16_too(edge: Edge) -> None:
    comes, goes = written("double quotes")
    body = f"<!doctype html><head>{comes}</head><body>ß€😀{'x' * 20_000}"
    answer = await open_page(edge, BIG + body.encode("utf-16-be"), headers={"content-type": "text/html"})
    text = answer.body.decode("utf-16")
    assert text == body.replace("<head>", f"<head>{TAG}").replace(comes, goes)


UNTOUCHED_ANSWERS: dict[str, tuple[dict[str, str], bytes]] = {
    "not HTML": ({"content-type": "application/json"}, b'{"a": "<head>"}'),
    "XHTML": ({"content-type": "application/xhtml+xml"}, PLAIN),
    "no type": ({"content-type": ""}, PLAIN),
    "a name that begins alike": ({"content-type": "text/html-sandboxed"}, PLAIN),
    "a download": ({"content-disposition": 'attachment; filename="x.html"'}, PLAIN),
    "UTF-16 unmarked": ({"content-type": "text/html"}, PLAIN.decode().encode("utf-16-le")),
    "a coding we cannot read": ({"content-encoding": "deflate"}, b"\x00\x01<head>"),
    "two codings": ({"content-encoding": "x-mine, gzip"}, gzip.compress(b"<head>", mtime=0)),
}


@pytest.mark.parametrize("name", UNTOUCHED_ANSWERS)
async def test_what_is_no_readable_page_passes_byte_for_byte(edge: Edge, name: str) -> None:
    headers, body = UNTOUCHED_ANSWERS[name]
    answer = await open_page(edge, body[:1], body[1:], headers=headers, apart=True)
    assert answer.body == body


@pytest.mark.parametrize(
    "request_headers",
    [
        {"accept": "text/html"},
        {"accept": "text/html", "sec-fetch-dest": "iframe"},
        {"accept": "text/html", "sec-fetch-dest": "empty"},
        {"accept": "text/html", "sec-fetch-dest": "DOCUMENT"},
    ],
)
async def test_only_documents_have_the_bar(edge: Edge, request_headers: dict[str, str]) -> None:
    packed = gzip.compress(PLAIN)
    answer = await open_page(edge, packed, headers={"content-encoding": "gzip"}, request=request_headers)
    assert answer.body == packed
    assert edge.app.heard[0].all("accept-encoding") == ["gzip, deflate"]


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_body_stays_without(edge: Edge, status: int) -> None:
    edge.bar()

    async def nothing(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"content-type": HTML, "etag": '"abc"'})

    edge.app.answer = nothing
    answer = await edge.get(headers=NAVIGATION)
    assert (answer.status, answer.body, answer.headers["etag"]) == (status, b"", '"abc"')


async def test_a_part_of_a_page_is_not_changed(edge: Edge) -> None:
    answer = await open_page(edge, PLAIN[20:40], status=206, headers={"content-range": "bytes 20-39/80"})
    assert answer.body == PLAIN[20:40]


async def test_head_requests_tell_what_the_app_told(edge: Edge) -> None:
    edge.bar()

    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(body=PLAIN, content_type="text/html", headers={"etag": '"abc"'})

    edge.app.answer = page
    answer = await edge.request("HEAD", headers=NAVIGATION)
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, b"", '"abc"')
    assert answer.headers["content-length"] == str(len(PLAIN))


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("br", stored_brotli), ("zstd", stored_zstd)]
)
@pytest.mark.parametrize("word", ["0", "", "10"])
async def test_a_page_that_is_to_have_no_bar_stays_compressed_and_is_asked_for_as_it_was(
    edge: Edge, coding: str, encode: Callable[[bytes], bytes], word: str
) -> None:
    packed = encode(PLAIN)

    async def page(_: web.Request) -> web.StreamResponse:
        told = {"content-encoding": coding, "etag": '"abc"', "accept-ranges": "bytes", "vary": "x"}
        return web.Response(body=packed, content_type="text/html", headers=told)

    edge.app.answer = page
    edge.decision.answer = edge.to(f"127.0.0.1:{edge.app.port}", **{"x-td-bar": word})
    answer = await edge.get(headers={**NAVIGATION, "if-none-match": '"1"'})
    assert answer.body == packed
    told = {name: answer.headers.get(name) for name in ("content-encoding", "etag", "accept-ranges", "vary")}
    assert told == {"content-encoding": coding, "etag": '"abc"', "accept-ranges": "bytes", "vary": "x"}
    (heard,) = edge.app.heard
    assert heard.all("accept-encoding") == [NAVIGATION["accept-encoding"]]
    assert heard.all("if-none-match") == ['"1"']


async def test_no_client_can_ask_for_the_bar_or_change_what_it_may_load(edge: Edge) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        headers = {"content-security-policy": "default-src 'self'", "x-td-bar": "1"}
        return web.Response(body=PLAIN, content_type="text/html", headers=headers)

    edge.app.answer = page  # and the decision says 0
    asked = {**NAVIGATION, "x-td-bar": "1", "X-Td-Bar-Csp": "script-src https://evil.example"}
    answer = await edge.get(headers=asked)
    assert answer.body == PLAIN
    edge.bar()
    answer = await edge.get(headers=asked)
    assert answer.body == BARRED
    assert "evil" not in answer.headers["content-security-policy"]


SCRIPT = "https://acme.apps.localhost:8443/_td/bar.js https://cdn.example/bar.js"
NEEDS = f"script-src {SCRIPT}; connect-src https://api.example; style-src 'sha256-abc='; frame-src https://f.example"
POLICIES: dict[str, tuple[str, str, str | None]] = {
    # name: (the page's, what comes out, nonce of the loader: "own" for one of Envoy's)
    "no limits on scripts": ("frame-ancestors 'none'", "frame-ancestors 'none'", None),
    "script-src": ("script-src 'self'", f"script-src 'self' {SCRIPT}", None),
    "upper case": ("Script-Src 'SELF'", f"script-src 'SELF' {SCRIPT}", None),
    "nonce": ("script-src 'nonce-r4nd0m'", f"script-src 'nonce-r4nd0m' {SCRIPT}", None),
    "hash": ("script-src 'sha256-xyz='", f"script-src 'sha256-xyz=' {SCRIPT}", None),
    "none": ("script-src 'none'", f"script-src {SCRIPT}", None),
    "empty": ("script-src", f"script-src {SCRIPT}", None),
    "nonce and strict-dynamic": (
        "script-src 'nonce-r4nd0m' 'strict-dynamic'",
        f"script-src 'nonce-r4nd0m' 'strict-dynamic' {SCRIPT}",
        "r4nd0m",
    ),
    "hash and strict-dynamic": (
        "script-src 'sha256-xyz=' 'strict-dynamic'",
        f"script-src 'sha256-xyz=' 'strict-dynamic' {SCRIPT} 'nonce-OWN'",
        "own",
    ),
    "script-src-elem": (
        "script-src 'self'; script-src-elem 'none'",
        f"script-src 'self' {SCRIPT}; script-src-elem {SCRIPT}",
        None,
    ),
    "default-src alone": (
        "default-src 'none'",
        f"default-src 'none'; {NEEDS}",
        None,
    ),
    "child-src rules frames": (
        "child-src 'self'",
        "child-src 'self'; frame-src 'self' https://f.example",
        None,
    ),
    "inline styles stay allowed": (
        "style-src 'self' 'unsafe-inline'",
        "style-src 'self' 'unsafe-inline'",
        None,
    ),
    "inline scripts stay allowed": (
        "script-src 'self' 'unsafe-inline'",
        f"script-src 'self' 'unsafe-inline' {SCRIPT}",
        None,
    ),
    "trusted types": (
        "require-trusted-types-for 'script'; trusted-types app",
        "require-trusted-types-for 'script'; trusted-types app talkdesk-bar",
        None,
    ),
    "two policies in one header": (
        "script-src 'self', img-src 'none'; script-src 'none'",
        f"script-src 'self' {SCRIPT}, img-src 'none'; script-src {SCRIPT}",
        None,
    ),
    "only the first of two alike counts": (
        "script-src 'self'; script-src 'none'",
        f"script-src 'self' {SCRIPT}",
        None,
    ),
}


@pytest.mark.parametrize("header", ["content-security-policy", "content-security-policy-report-only"])
@pytest.mark.parametrize("name", POLICIES)
async def test_a_pages_policy_gains_what_the_bar_needs_and_no_more(
    edge: Edge, name: str, header: str
) -> None:
    policy, expected, nonce = POLICIES[name]
    edge.bar(NEEDS)

    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(body=PLAIN, content_type="text/html", headers={header: policy})

    edge.app.answer = page
    answer = await edge.get(headers=NAVIGATION)
    own = answer.headers["x-request-id"]
    assert answer.headers[header] == expected.replace("OWN", own)
    mark = {None: "", "own": f' nonce="{own}"'}.get(nonce, f' nonce="{nonce}"')
    assert f'<script src="/_td/bar.js" defer{mark}></script>' in answer.text


async def test_of_several_policy_headers_each_gains_it(edge: Edge) -> None:
    edge.bar(NEEDS)

    async def page(_: web.Request) -> web.StreamResponse:
        response = web.Response(body=PLAIN, content_type="text/html")
        response.headers.add("content-security-policy", "script-src 'nonce-one' 'strict-dynamic'")
        response.headers.add("content-security-policy", "script-src 'nonce-two' 'strict-dynamic'")
        return response

    edge.app.answer = page
    answer = await edge.get(headers=NAVIGATION)
    assert answer.headers.getall("content-security-policy") == [
        (
            f"script-src 'nonce-one' 'strict-dynamic' {SCRIPT}, "
            f"script-src 'nonce-two' 'strict-dynamic' {SCRIPT} 'nonce-one'"
        )
    ]
    assert 'defer nonce="one"' in answer.text


GAINED = "https://cdn.example/bar.js"
CSP = '<meta http-equiv="Content-Security-Policy" |>'
SCRIPTS = """<title><meta></title><script>"<meta http-equiv=content-security-policy content=x>"</script>"""
ENDS = "<style></STYLE><script></scrip</s<</b></sCRIPT\n><title></<///</titl</TITLE x><noscript></</NoScript>"
METAS: dict[str, tuple[str, str, str]] = {
    # name: (the element, what stands at its "|", its policy as it goes out)
    "double quotes": (CSP, """content="script-src 'self'\"""", f"script-src 'self' {GAINED}"),
    "single quotes": (
        "<meta charset=utf-8><META | HTTP-EQUIV='content-security-policy' />",
        "content='script-src &#39;self&#39;'",
        f"script-src 'self' {GAINED}",
    ),
    "no quotes": (CSP, "content=script-src", f"script-src {GAINED}"),
    "after other things": (
        f"{SCRIPTS}<!-- </head> --><link rel=x><meta http-equiv=Content-Security-Policy |>",
        """content="script-src 'self'\"""",
        f"script-src 'self' {GAINED}",
    ),
    "after elements that end in odd ways": (
        f"{ENDS}<meta http-equiv=Content-Security-Policy |>",
        """content="script-src 'self'\"""",
        f"script-src 'self' {GAINED}",
    ),
    "other attributes": (
        """<meta id="csp" http-equiv=Content-Security-Policy data-a='"1"' | data-b=2 hidden>""",
        """content="script-src 'self'\"""",
        f"script-src 'self' {GAINED}",
    ),
    "only the first of two alike counts": (
        '<meta http-equiv=Content-Security-Policy | content="script-src x">',
        "content=script-src",
        f"script-src {GAINED}",
    ),
    "as Go writes it": (
        CSP,
        'content="script-src &#39;nonce-ab&#43;cd=&#39;; object-src &#39;none&#39;"',
        f"script-src 'nonce-ab+cd=' {GAINED}; object-src 'none'",
    ),
    "as Handlebars writes it": (
        CSP,
        'content="script-src &#x27;nonce-c&#x2F;d&#x3D;&#x27; https:&#X02f;&#x02f;a.example&#x3b; img-src *"',
        f"script-src 'nonce-c/d=' https://a.example {GAINED}; img-src *",
    ),
    "references without their end": (
        CSP,
        'content="script-src &#39self&#39 &#x2Fx"',
        f"script-src 'self' /x {GAINED}",
    ),
    "references that make no new ones": (
        CSP,
        'content="script-src /?a&#38;#x2f /?b=1&c=2 /?&amp;lt"',
        f"script-src /?a&amp;#x2f /?b=1&amp;c=2 /?&amp;lt {GAINED}",
    ),
}


def written(name: str) -> tuple[str, str]:
    """One of them as it comes, and as it goes: its content alone is another."""
    element, comes, goes = METAS[name]
    return element.replace("|", comes), element.replace("|", f'content="{goes}"')


@pytest.mark.parametrize("name", METAS)
async def test_a_policy_in_a_meta_element_gains_it_too(edge: Edge, name: str) -> None:
    comes, goes = written(name)
    body = f"<!doctype html><head>{comes}</head><body><p>{comes}".encode()
    for size in (len(body), 11, 2):
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        answer = await open_page(edge, *chunks, apart=True)
        assert answer.text == f"<!doctype html><head>{TAG}{goes}</head><body><p>{comes}"


@pytest.mark.parametrize(
    "content",
    [
        "script-src &apos;self&apos; &ouml;.example",
        "script-src &#246;",
        "script-src &#x1f600; 'self'",
        "&#;",
        "",
        " ",
    ],
)
async def test_a_policy_in_a_meta_element_that_cannot_be_read_stays_as_it_is(
    edge: Edge, content: str
) -> None:
    body = f'<head><meta http-equiv="Content-Security-Policy" content="{content}"></head>'
    answer = await open_page(edge, body.encode())
    assert answer.text == body.replace("<head>", f"<head>{TAG}")


async def test_a_head_without_end_stops_nothing(edge: Edge) -> None:
    body = b"<head><style>" + b"x" * 3_000_000
    answer = await open_page(edge, body)
    assert answer.body == body.replace(b"<head>", b"<head>" + TAG.encode())
    body = b'<head><meta content="' + b"x" * 300_000
    answer = await open_page(edge, body)
    assert answer.body == body.replace(b"<head>", b"<head>" + TAG.encode())


async def test_a_tag_that_never_ends_is_not_held_for_ever(edge: Edge) -> None:
    body = b'<html data-x="' + b"x" * 300_000
    answer = await open_page(edge, body)
    assert answer.body == TAG.encode() + body


async def test_a_page_begins_to_show_before_it_ends(edge: Edge) -> None:
    edge.bar()
    go_on = asyncio.Event()

    async def answer(asked: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": HTML})
        await response.prepare(asked)
        await response.write(b"<!doctype html><head><title>x</title></head><body>first")
        await go_on.wait()
        await response.write(b"second")
        return response

    edge.app.answer = answer
    headers = {"host": "acme.apps.localhost", **NAVIGATION}
    async with edge.client.get(edge.url(), headers=headers) as response:
        begun = b""
        while not begun.endswith(b"first"):
            begun += await asyncio.wait_for(response.content.readany(), 10)
        assert TAG.encode() in begun
        go_on.set()
        assert (await response.content.read()).endswith(b"second")
