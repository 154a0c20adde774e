"""``junit.xml``: a suite for each item, a case for each check."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from talkdesk_certify.result import Certification, CheckResult, ItemResult

#: What XML 1.0 cannot hold; a page of the app may have said it.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(certification: Certification) -> str:
    """The XML document."""
    root = ET.Element("testsuites", name="certification", time=f"{certification.seconds:.1f}")
    for item in certification.items:
        root.append(_suite(item))
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(item: ItemResult) -> ET.Element:
    ended = [one.status for one in item.checks]
    suite = ET.Element(
        "testsuite",
        name=_text(f"{item.id} {item.title}"),
        tests=str(len(ended)),
        failures=str(ended.count("fail")),
        skipped=str(ended.count("skipped")),
        errors="0",
        time=f"{item.seconds:.1f}",
    )
    suite.extend(_case(one) for one in item.checks)
    return suite


def _case(one: CheckResult) -> ET.Element:
    case = ET.Element("testcase", classname="certification", name=one.id, time=f"{one.seconds:.2f}")
    if one.status == "fail":
        failure = ET.SubElement(case, "failure", message=_text(one.detail))
        failure.text = _text(f"{one.title}\nHow: {one.how}\nWhat to do: {one.fix}")
    elif one.status == "skipped":
        ET.SubElement(case, "skipped", message=_text(one.detail))
    else:
        ET.SubElement(case, "system-out").text = _text(one.detail)
    return case


def _text(words: str) -> str:
    return _NOT_XML.sub("\ufffd", words)
