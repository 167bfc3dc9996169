"""The one error that a user can mend."""

from __future__ import annotations

LONGEST = 1000  # characters of a line
FAILED = "failed: "  # so begins the last line of the log of a job that failed and could say so


class UserError(Exception):
    """Bad input: each line names the file or key and the remedy, and is all that the user sees.

    Args:
      lines: nearly always one. Whatever text of the user's is in it, it stays one line: what is not printable is escaped, and
        of a line that is very long the middle is left out.
    """

    def __init__(self, *lines: object) -> None:
        super().__init__("\n".join(_one_line(str(line)) for line in lines))


def _one_line(text: str) -> str:
    if len(text) > LONGEST:
        text = f"{text[: LONGEST * 2 // 3]} … {text[-LONGEST // 3 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
