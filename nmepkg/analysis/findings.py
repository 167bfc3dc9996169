"""Tables of a text on results, renewed from the results: what the prose reads is what was computed.

    python -m nmepkg.analysis.findings results mnist1d docs/findings.md

copies verdicts, means and versions of the study ``mnist1d``, in the store ``results``, into ``docs/findings/``, and writes anew
each table of ``docs/findings.md``: between ``<!-- figure_1 -->``, the means of that figure, ``<!-- verdicts_figure_1 -->``, of
the claims about it, or another name, and ``<!-- end -->``.
Of each figure that it shows from that folder, ``![…](findings/figure_11.png)``, it makes a small picture there.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from PIL import Image

from nmepkg.analysis.labels import symbol
from nmepkg.analysis.quantities import is_accuracy
from nmepkg.errors import UserError
from nmepkg.files import written_whole

CLAIMS = ["claim", "setup", "figure", "says", "a", "b", "smallest", "unit", "effect", "ci_low", "ci_high", "confidence"]
CLAIMS += ["p_holm", "n_seeds", "n_diverged_a", "n_diverged_b", "look", "verdict", "could_show"]
CLAIMS += ["needed_at_effect", "needed_at_smallest"]
LINE = ["setup", "method_label", "activation_label", "at", "radius", "y_name"]
POINTS = ["figure", *LINE, "x_name", "x", "n_seeds", "n_diverged", "y_mean", "y_ci_low", "y_ci_high"]
PIXELS, COLOURS = 1000, 64  # across, of a picture in the docs
HEADS = {"method_label": "method", "activation_label": "activation", "radius": "ρ", "y_name": "quantity"}


def collect(store: Path, study: str, folder: Path) -> None:
    """Copies of a study's results what its tables show: ``claims.csv``, ``points.csv`` and ``versions.csv``.

    Args:
      store: of the study, with its figures drawn.
      study: its name.
      folder: where to.

    Raises:
      UserError: a table is missing.
    """
    figures = store / "figures" / study
    written = yaml.safe_load(_text(figures / "study.yaml"))
    drawn = [_read(figures / f"{name}.csv") for name in written["figures"]]
    points = pd.concat([table for table in drawn if "y_mean" in table]).reindex(columns=POINTS)
    claims = _read(store / "claims" / f"{study}.csv")[CLAIMS]
    titles = {name: setup.get("title") or name for name, setup in written["setups"].items()}
    claims, points = (table.assign(setup=table["setup"].replace(titles)) for table in (claims, points))
    for name, table in {
        "claims": claims,
        "points": points,
        "versions": _read(figures / "versions.csv", dtype=str),
    }.items():
        with written_whole(folder / f"{name}.csv") as file:
            file.write(table.to_csv(index=False, lineterminator="\n", float_format="%.6g").encode())


def copy_pictures(text: str, drawn: Path, folder: Path) -> None:
    """Small copies, in ``folder``, of the figures that a text shows from there.

    Args:
      drawn: the folder of the study's figures.

    Raises:
      UserError: one is not drawn.
    """
    for name in re.findall(rf"\]\({folder.name}/(\w+)\.png\)", text):
        source = drawn / f"{name}.png"
        if not source.is_file():
            raise UserError(f"{source}: no such figure; `snakemake report` draws it")
        picture = Image.open(source)
        picture.thumbnail((PIXELS, 5 * PIXELS))
        with written_whole(folder / f"{name}.png") as file:
            picture.convert("RGB").quantize(COLOURS).save(file, "png", optimize=True)


def renewed(text: str, folder: Path) -> str:
    """A text with the tables that :func:`collect` left in ``folder``.

    Raises:
      UserError: a table that it names is not there.
    """
    tables = _tables(folder)

    def table(match: re.Match[str]) -> str:
        if match[1] not in tables:
            raise UserError(f"{match[1]}: no such table; there are {', '.join(tables)}")
        return f"<!-- {match[1]} -->\n{tables[match[1]]}<!-- end -->"

    return re.sub(r"<!-- (?!end)(\w+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def _tables(folder: Path) -> dict[str, str]:
    claims, points = (_read(folder / f"{name}.csv") for name in ("claims", "points"))
    versions = _read(folder / "versions.csv", dtype=str, keep_default_na=False)
    counted = claims["verdict"].value_counts()
    return {
        "counts": ", ".join(f"{counted.get(verdict, 0)} {verdict}" for verdict in counted.index.sort_values()) + "\n",
        "verdicts": _verdicts(claims),
        **{f"verdicts_{name}": _verdicts(of) for name, of in claims.groupby("figure", sort=False)},
        "undecided": _table(
            ["claim", "setup", "could show", "seeds needed at the effect seen", "at the smallest of interest"],
            map(_lacking, claims[claims["verdict"] == "undecided"].to_dict("records")),
        ),
        "versions": _table([str(name) for name in versions], versions.to_numpy().tolist()),
        **{str(name): _figure(figure) for name, figure in points.groupby("figure", sort=False)},
    }


def _verdicts(claims: pd.DataFrame) -> str:
    return _table(["claim", "setup", "effect", "n", "verdict"], map(_claim, claims.to_dict("records")))


def _claim(row: Mapping[Any, Any]) -> list[str]:
    unit = {"points": " points", "factor": "×"}.get(str(row["unit"]), "")
    return [
        str(row["says"]),
        str(row["setup"]),
        _interval(row["effect"], row["ci_low"], row["ci_high"], "+.3g" if unit != "×" else ".3g") + unit,
        str(row["n_seeds"]) if row["n_seeds"] else "–",
        str(row["verdict"]),
    ]


def _lacking(row: Mapping[Any, Any]) -> list[str]:
    needed = [row["needed_at_effect"], row["needed_at_smallest"]]
    shown = ["none would do" if pd.isna(count) else f"{count:.0f}" for count in needed]
    return [str(row["says"]), str(row["setup"]), f"{row['could_show']:.3g}", *shown]


def _figure(points: pd.DataFrame) -> str:
    """A row a line of the figure, and a column an x; what x itself decides (β, the step) is in no other column."""
    keys = [key for key in LINE if (points.groupby("x")[key].nunique(dropna=False) > 1).any()] or ["setup"]
    xs = sorted(points["x"].unique())
    rows = []
    for of, line in points.fillna(dict.fromkeys(keys, "")).groupby(keys, sort=False):
        cells = {row["x"]: _point(row) for row in line.to_dict("records")}
        rows.append([*map(str, of), *(cells.get(x, "") for x in xs)])
    heads = [HEADS.get(key, key) for key in keys]
    name = str(points["x_name"].iloc[0])
    return _table([*heads, *(f"{symbol(name)} = {x:g}" for x in xs)], rows)


def _point(row: Mapping[Any, Any]) -> str:
    scale, places = (100.0, ".1f") if is_accuracy(str(row["y_name"])) else (1.0, ".3g")
    mean, low, high = (scale * row[key] for key in ("y_mean", "y_ci_low", "y_ci_high"))
    if not row["n_diverged"]:
        return _interval(mean, low, high, places)
    left = f"{format(mean, places)} ({row['n_seeds']} left, " if row["n_seeds"] else "("
    return f"{left}{row['n_diverged']} diverged)"


def _interval(mean: float, low: float, high: float, places: str) -> str:
    interval = "" if pd.isna(low) else f" [{format(low, places)}, {format(high, places)}]"
    return f"{format(mean, places)}{interval}".replace("-", "−")


def _table(heads: list[str], rows: Iterable[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _read(path: Path, **options: Any) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(_text(path)), **options)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); `snakemake report` makes it") from None


def main() -> None:
    """Renews the tables of a text, and the copies beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("study")
    parser.add_argument("text", type=Path)
    arguments = parser.parse_args()
    folder = arguments.text.with_suffix("")
    folder.mkdir(exist_ok=True)
    collect(arguments.store, arguments.study, folder)
    text = renewed(arguments.text.read_text("utf-8"), folder)
    copy_pictures(text, arguments.store / "figures" / arguments.study, folder)
    with written_whole(arguments.text) as file:
        file.write(text.encode())


if __name__ == "__main__":
    main()
