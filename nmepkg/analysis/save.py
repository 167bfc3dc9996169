"""Figures as PDF, SVG and PNG files: the same bytes for the same results, with what they show in their metadata."""

from __future__ import annotations

import io
import json
import logging
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from matplotlib.figure import Figure as Canvas
from matplotlib.transforms import Bbox

from nmepkg.analysis.style import DPI, NEUTRAL, smallest
from nmepkg.files import written_whole

FORMATS = ("pdf", "svg", "png")
_LINE, _CHARACTERS = 0.13, 17  # of a note: inches a line, characters an inch

# Font subsetting warns about the dates inside the font file, which aren't ours.
logging.getLogger("fontTools").setLevel(logging.ERROR)


def save(canvas: Canvas, stem: Path, origin: Mapping[str, Any]) -> None:
    """Writes ``stem``.pdf, .svg and .png, whole or not at all, and without a date: equal figures are equal files.

    Args:
      origin: what the figure is of, embedded as JSON in each file (PDF and SVG: keywords; PNG: comment). Its ``note``, a
        warning, is also written under the figure; its ``title`` and ``caption`` are what an SVG is to a screen reader.
    """
    area = None
    if origin["note"]:
        width, height = canvas.get_size_inches()
        wrapped = "\n".join(textwrap.wrap(origin["note"], int(width * _CHARACTERS)))
        below = _LINE * (wrapped.count("\n") + 2)
        canvas.text(0.01, -_LINE / 2 / height, wrapped, va="top", ha="left", fontsize=smallest(), color=NEUTRAL)
        area = Bbox.from_extents(0, -below, width, height)
        for legend in canvas.legends:  # which would follow the bottom of the area
            legend.set_bbox_to_anchor((0, 0, 1, 1), canvas.transFigure)
    for kind in FORMATS:
        buffer = io.BytesIO()
        canvas.savefig(buffer, format=kind, dpi=DPI, metadata=_metadata(kind, origin), bbox_inches=area)
        content = buffer.getvalue()
        if kind == "svg":
            content = _read_aloud(content.decode(), origin).encode()
        with written_whole(stem.with_name(f"{stem.name}.{kind}")) as file:
            file.write(content)


def _read_aloud(svg: str, origin: Mapping[str, Any]) -> str:
    """An SVG as one image with a title and a description, for screen readers and searches: its texts are outlines.

    Matplotlib writes a ``<title>`` of its own; ids are the figure's, so that several SVGs may be in one page.
    """
    name = re.sub(r"[^\w-]", "-", f"{origin['study']}-{origin['figure']}")
    title, description = origin["title"] or origin["figure"], origin["caption"]
    texts = f'<title id="{name}-title">{escape(title)}</title>'
    labels = f"{name}-title"
    if description:
        texts += f'\n <desc id="{name}-desc">{escape(description)}</desc>'
        labels += f" {name}-desc"
    svg = re.sub(r"<title>.*?</title>", lambda _: texts, svg, count=1, flags=re.DOTALL)
    return svg.replace("<svg ", f'<svg role="img" aria-labelledby="{labels}" ', 1)


def _metadata(kind: str, origin: Mapping[str, Any]) -> Mapping[str, Any]:
    title, embedded = f"{origin['study']}: {origin['figure']}", json.dumps(origin, ensure_ascii=False)
    if kind == "pdf":
        return {"Title": title, "Subject": origin["title"], "Keywords": embedded, "CreationDate": None}
    if kind == "svg":
        return {"Title": title, "Description": origin["title"], "Keywords": [embedded], "Date": None}
    return {"Title": title, "Description": origin["title"], "Comment": embedded}
