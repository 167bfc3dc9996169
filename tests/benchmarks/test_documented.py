"""What docs/performance.md says in tables is what was measured."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks import figure_hours
from benchmarks.tables import PAGE, SCALE, TABLES, TABLES_OF_SCALE, render

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_ratios_is_that_of_the_measurements() -> None:
    measured = pd.read_csv(DOCS / "performance" / "peers.csv")
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    block = text.split("<!-- peers -->")[1].split("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.strip().splitlines()[2:]]
    assert len(rows) > 10
    for network, task, library, ratio, _ in rows:
        same = (measured["model"] == network) & (measured["task"] == task) & (measured["library"] == library)
        (found,) = measured.loc[same, "ratio"]
        assert ratio == f"{found:.2f}", (network, task)


def test_other_tables_are_those_of_the_measurements() -> None:
    for page, tables in ((PAGE, TABLES), (SCALE, TABLES_OF_SCALE)):
        text = page.read_text(encoding="utf-8")
        assert render(text, PAGE.with_suffix(""), tables) == text


def test_the_hours_of_a_day_are_those_of_the_timed_steps() -> None:
    text = (DOCS / "scale.md").read_text(encoding="utf-8")
    block = text.split("<!-- day -->\n")[1].split("\n<!-- end -->")[0]
    assert block == figure_hours.table(DOCS.parent / "config" / "one_gpu_day.yaml", "WRN-16-4")


def test_what_the_page_links_to_is_there() -> None:
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    links = [part.split(")")[0] for part in text.split("](performance/")[1:]]
    assert links
    assert [link for link in links if not (DOCS / "performance" / link).is_file()] == []
