"""The section of a study's page that explores its runs: a template, a script, and Vega-Lite, which draws the charts."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from functools import cache
from typing import Any

import vl_convert
from markupsafe import Markup

from nmepkg.analysis.templates import text, write


def explorer(explored: Mapping[str, Any]) -> Markup:
    """HTML that shows what :func:`nmepkg.analysis.explored.explored` knows; it needs no other file and no network."""
    return write(
        "explorer.html",
        explored=explored,
        vega=_vega(),
        licence=Markup(text("vega.txt")),
        script=Markup(text("explorer.js")),
    )


@cache
def _vega() -> str:
    """Vega-Lite with all that it needs, a script that makes the function ``vegaEmbed``: gzipped, in base64."""
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
