"""Draws docs/images/built.svg, the picture of docs/how-it-is-built.md, from what is so: `python docs/picture.py`.

Its floors are those that import-linter enforces, in pyproject.toml. Beside each step of a study are the packages that its code
imports. A test compares the file with what this draws.
"""

import ast
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs/images/built.svg"

TOP, STEP, FLOOR = 56, 84, 380
BLUE, GREY, GREEN, INK, PALE = "#dbe9f6", "#f2f2f2", "#e2f0d9", "#222222", "#666666"

# What a step of a study runs, and what it writes.
STEPS = (
    ("", "study.yaml"),
    ("nmepkg/planning/start.py", "runs, measurements and figures, each with an id"),
    ("nmepkg/planning/plan.py", ".snakemake/jobs: a file for each job whose result is missing"),
    ("workflow/scripts/prepare_data.py", "results/data"),
    ("workflow/scripts/train.py", "results/runs: result.json, params.npz"),
    ("workflow/scripts/measure.py", "results/measurements"),
    ("workflow/scripts/claims.py", "results/claims: verdicts"),
    ("workflow/scripts/figure.py", "results/figures: PDF, SVG, PNG, tables"),
    ("workflow/scripts/page.py", "results/figures: index.html"),
)


def floors() -> list[list[str]]:
    """The names on each floor, from the top."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = project["tool"]["importlinter"]["contracts"]
    return [[name.strip().removeprefix("nmepkg.") for name in layer.split("|")] for layer in contract["layers"]]


def packages(code: str) -> list[str]:
    """The packages of ours that a file of Python imports, wherever in it, from the top floor down."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / code).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nmepkg"):
            names |= {f"{node.module}.{alias.name}".split(".")[1] for alias in node.names}
    order = [name for floor in floors() for name in floor if (ROOT / "nmepkg" / name).is_dir()]
    return sorted(names.intersection(order), key=order.index)


def text(x: float, y: float, words: str, size: int = 14, color: str = INK, more: str = "") -> str:
    """Words that begin at a point, or as ``more`` says."""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}" {more}>{escape(words)}</text>'


def box(x: float, y: float, width: float, words: str, fill: str) -> str:
    """A box with its words in the middle."""
    shape = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="28" rx="4" fill="{fill}" stroke="#8899aa"/>'
    return shape + text(x + width / 2, y + 19, words, more='text-anchor="middle"')


def rows(names: list[str]) -> list[list[str]]:
    """The boxes of a floor, at most four side by side."""
    each = 4 if len(names) <= 4 else 3
    return [names[first : first + each] for first in range(0, len(names), each)]


def drawn_floors() -> Iterator[str]:
    """Packages in blue, modules in grey."""
    y = TOP
    for floor in floors():
        for names in rows(floor):
            width = (FLOOR - 6 * (len(names) - 1)) / len(names)
            for place, name in enumerate(names):
                fill = BLUE if (ROOT / "nmepkg" / name).is_dir() else GREY
                yield box(20 + place * (width + 6), y, width, name, fill)
            y += 32
        y += 6


def drawn_steps() -> Iterator[str]:
    """What is written in green, and between, what writes it."""
    for step, (code, written) in enumerate(STEPS):
        y = TOP + step * STEP
        yield box(440, y, 540, written, GREEN)
        if code:
            yield f'<path d="M 470 {y - STEP + 28} V {y - 4}" stroke="{INK}" stroke-width="1.5" marker-end="url(#head)"/>'
            yield text(486, y - STEP + 50, code)
            yield text(486, y - STEP + 67, ", ".join(packages(code)), 12, PALE)


def picture() -> str:
    """The SVG: floors on the left, the way of a study on the right."""
    height = TOP + STEP * (len(STEPS) - 1) + 48
    marker = 'id="head" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 {height}" font-family="sans-serif">',
        f'<defs><marker {marker}><path d="M0,0 L6,3 L0,6 z"/></marker></defs>',
        f'<rect width="1000" height="{height}" fill="white"/>',
        text(20, 34, "Packages: an import points downwards", 17),
        text(440, 34, "A study: what runs, what that imports, what it writes", 17),
        *drawn_floors(),
        *drawn_steps(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
