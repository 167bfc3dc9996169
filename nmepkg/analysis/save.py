"""Figures as PDF, SVG and PNG files: the same bytes for the same results, with what they show in their metadata."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas

from nmepkg.files import written_whole

FORMATS = ("pdf", "svg", "png")
_DPI = 300

# Font subsetting warns about the dates inside the font file, which aren't ours.
logging.getLogger("fontTools").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Origin:
    """What a figure was made from.

    Attributes:
      study, figure: their names.
      title: the figure's title.
      code: digest over the code fingerprints of its runs.
      runs: digest over the ids of its runs.
      note: a warning that belongs to the figure, or "".
    """

    study: str
    figure: str
    title: str
    code: str
    runs: str
    note: str = ""

    def keywords(self) -> str:
        parts = [f"study={self.study}", f"figure={self.figure}", f"code={self.code}", f"runs={self.runs}"]
        return "; ".join([*parts, f"note={self.note}"] if self.note else parts)


def save(canvas: Canvas, stem: Path, origin: Origin) -> None:
    """Writes ``stem``.pdf, .svg and .png, whole or not at all, and without a date: equal figures are equal files."""
    for kind in FORMATS:
        buffer = io.BytesIO()
        canvas.savefig(buffer, format=kind, dpi=_DPI, metadata=_metadata(kind, origin))
        with written_whole(stem.with_name(f"{stem.name}.{kind}")) as file:
            file.write(buffer.getvalue())


def _metadata(kind: str, origin: Origin) -> Mapping[str, Any]:
    title = f"{origin.study}: {origin.figure}"
    if kind == "pdf":
        return {"Title": title, "Subject": origin.title, "Keywords": origin.keywords(), "CreationDate": None}
    if kind == "svg":
        return {"Title": title, "Description": origin.title, "Keywords": [origin.keywords()], "Date": None}
    return {"Title": title, "Description": origin.title, "Comment": origin.keywords()}
