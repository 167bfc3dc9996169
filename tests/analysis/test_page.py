"""The page of a study: whole HTML that needs no other file, with every figure, caption and verdict."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from nmepkg.analysis.claims.write import write
from nmepkg.analysis.page import page
from nmepkg.analysis.render import render
from nmepkg.errors import UserError
from nmepkg.runs.figure_identity import claims_identity, figure_identity
from tests.analysis.study import STUDY, prepare

CLAIMS = """\
claims:
  psam:
    figure: curve
    says: PSAM & SAM are <alike>
    both: {activation: gelu, rho: 0.1}
    a: {method: psam}
    b: {method: sam}
    expect: equal
    smallest: 1
  plane: {figure: plane, says: No ridge, a: {activation: relu, y: largest_norm_N_layer}, b: 0, expect: equal, smallest: 1}
"""
TEXT = (STUDY + CLAIMS).replace(
    "x: rho, columns: activation", "x: rho, title: A <title>, caption: A & caption, columns: activation"
)
ALONE = ("area", "br", "col", "hr", "img", "input", "link", "meta")


class Whole(HTMLParser):
    """Fails where tags are not closed in turn, and collects ids, references and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.refers: list[str] = []
        self.labels: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.update(filter(None, [given.get("id")]))
        self.refers += [str(given[name]) for name in ("href", "src", "xlink:href") if name in given]
        self.labels += [str(given["aria-label"])] if "aria-label" in given else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """The page as it is without scripts, and how many runs it shows."""
    folder = tmp_path_factory.mktemp("shown")
    study, expansion = prepare(folder, text=TEXT)
    out, table = folder / "out", folder / "claims.csv"
    with pytest.MonkeyPatch.context() as patch:
        for module in ("save", "render", "claims.write"):
            patch.setattr(f"nmepkg.analysis.{module}.FORMATS", ("svg",))  # of which the page is made
        for figure in study.figures.values():
            render(study, expansion, figure, out, figure_identity(study, expansion, figure))
        write(study, expansion, table, out, claims_identity(study, expansion))
    whole = page(study, expansion, out, table)
    assert page(study, expansion, out, table) == whole
    text = re.sub("<script.*?</script>", "", whole, flags=re.DOTALL)  # those of the explorer, tested on its own
    (out / "plane.svg").rename(out / "gone.svg")
    with pytest.raises(
        UserError, match=r"plane\.svg: cannot be read \(No such file or directory\); delete it to have it"
    ):
        page(study, expansion, out, table)
    return text, len({run for figure in study.figures.values() for run in expansion.runs_of(figure)})


def test_it_is_whole_and_needs_no_other_file(shown: tuple[str, int]) -> None:
    found = Whole(shown[0])
    # Matplotlib names an image by what it shows, and the two of this figure are alike.
    assert [id for id, count in found.ids.items() if count > 1 and not id.startswith("plane-image")] == []
    inside = [name for name in found.refers if name.startswith("#")]
    assert {name.removeprefix("#") for name in inside} <= set(found.ids)
    links = {name for name in found.refers if not name.startswith(("#", "data:"))}
    assert {name for name in links if not name.startswith("../")} == {
        f"{figure}.{suffix}"
        for figure in ("curve", "beta", "traces", "plane", "around")
        for suffix in ("pdf", "csv", "runs.csv")
    }
    assert not re.search(r'<(script|link|img)\b|(src|href)="(?:https?:)?//|url\((?!#)', shown[0])
    references = set(re.findall(r"url\(#([^)]+)\)", shown[0]))
    assert references <= set(found.ids)


def test_every_figure_has_its_caption_verdicts_and_a_text_for_who_cannot_see_it(shown: tuple[str, int]) -> None:
    text, _ = shown
    assert text.count("<svg") == 6  # and the forest plot
    assert "A &lt;title&gt;" in text
    assert "<figcaption>A &amp; caption</figcaption>" in text
    assert text.count("PSAM &amp; SAM are &lt;alike&gt;</th>") == 2  # in the table of all, and at its figure
    (label,) = [label for label in Whole(text).labels if label.startswith("A <title>")]
    assert label.startswith("A <title> A & caption PSAM & SAM are <alike> MLP on MNIST-1D: ")
    assert re.search(r'class="verdict supported">supported', text)


def test_it_says_how_many_runs_there_are(shown: tuple[str, int]) -> None:
    text, runs = shown
    assert re.findall(r"<p>(\d+) runs", text) == [str(runs)]
