"""Which texts Matplotlib takes for mathematics, and whether it can set them. Asks Matplotlib only where one may be."""

from __future__ import annotations

import re

from nmepkg.study.checks import StudyError
from nmepkg.study.strict_yaml import shortened

_WORD = re.compile(r"(?:\$(?:\\.|[^$\\])*\$|\\\$|\S)+", re.DOTALL)


def words(text: str) -> list[str]:
    """The words of a text; a formula is part of one."""
    return _WORD.findall(text)


def refuse_unset(text: str, where: str) -> None:
    """Refuses a text with formulas that cannot be set.

    Raises:
      StudyError: says which text, and how to write dollar signs.
    """
    if "$" not in text:
        return
    from matplotlib.cbook import is_math_text
    from matplotlib.mathtext import MathTextParser

    if not is_math_text(text):
        return
    parser: MathTextParser = MathTextParser("path")
    for line in (*text.split("\n"), *words(text)):
        if is_math_text(line):
            try:
                parser.parse(line)
            except ValueError:
                raise StudyError(
                    where,
                    f"'{shortened(line)}' is no formula that Matplotlib can set; mend it, or write \\$ for a dollar sign",
                ) from None
