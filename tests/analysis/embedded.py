"""What the files of a figure say of themselves, read without the code that wrote them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from PIL import Image

_LI = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
_SUBJECT = "{http://purl.org/dc/elements/1.1/}subject"


def pdf_keywords(content: bytes) -> str:
    """The keywords: a string between parentheses, in ASCII or, after a byte order mark, in UTF-16."""
    (found,) = re.findall(rb"/Keywords \(((?:[^\\()]|\\.)*)\)", content, re.DOTALL)
    text = re.sub(rb"\\(.)", lambda part: {b"n": b"\n", b"r": b"\r"}.get(part[1], part[1]), found, flags=re.DOTALL)
    return text.decode("utf-16" if text.startswith(b"\xfe\xff") else "ascii")


def svg_keywords(content: bytes) -> str:
    (subject,) = ElementTree.fromstring(content).iter(_SUBJECT)
    (item,) = subject.iter(_LI)
    return str(item.text)


def png_comment(content: bytes) -> str:
    return Image.open(io.BytesIO(content)).text["Comment"]  # type: ignore[attr-defined]


READERS: dict[str, Callable[[bytes], str]] = {"pdf": pdf_keywords, "svg": svg_keywords, "png": png_comment}


def origin(kind: str, content: bytes) -> dict[str, Any]:
    return json.loads(READERS[kind](content))


def inches(kind: str, content: bytes) -> tuple[float, float]:
    """Width and height."""
    if kind == "png":
        width, height = Image.open(io.BytesIO(content)).size
        return width / 300, height / 300
    pattern = rb"/MediaBox \[ 0 0 (\S+) (\S+) \]" if kind == "pdf" else rb'<svg .*?width="(\S+)pt" height="(\S+)pt"'
    found = re.search(pattern, content, re.DOTALL)
    assert found is not None
    return float(found[1]) / 72, float(found[2]) / 72
