"""Texts of the user's where Snakemake, a browser or reStructuredText would read more into them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any


def verbatim(text: str) -> Callable[[Any], str]:
    """A parameter of a rule that is this text: in what is a function's Snakemake looks for no wildcards."""
    return lambda wildcards: text


def in_command(path: Callable[..., object], *wildcards: str) -> str:
    """A path for a shell command of a rule, quoted, of which wildcards are part, and nothing else for Snakemake to format.

    Args:
      path: of the values of the wildcards, in their order.
    """
    places = [f"\0{place}\0" for place in range(len(wildcards))]
    quoted = shlex.quote(str(path(*places))).replace("{", "{{").replace("}", "}}")
    for place, wildcard in zip(places, wildcards, strict=True):
        quoted = quoted.replace(place, f"{{wildcards.{wildcard}}}")
    return quoted


def escaped(text: str) -> str:
    """A text for a caption of the report, in which no sign means anything to reStructuredText."""
    return "\n".join(re.sub(r"([^\w\s]|_)", r"\\\1", line.strip()) for line in text.splitlines())


def label(text: str) -> str:
    """A text for a label of the report.

    Snakemake looks for wildcards in labels whatever they are, and a browser for the end of its script. A sign that is not seen
    keeps both from finding any.
    """
    return re.sub("[{<]", "\\g<0>\N{WORD JOINER}", text)
