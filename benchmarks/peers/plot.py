"""The picture: for each task, ours in units of each library's time, on a logarithmic axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.peers.cases import CURVLINOPS, EIGENTHINGS, OURS, PYHESSIAN, PYTORCH

STYLES = {  # colours that differ for all eyes (Okabe & Ito), and markers that do without them
    PYTORCH: ("#000000", "o"),
    CURVLINOPS: ("#0072B2", "s"),
    PYHESSIAN: ("#D55E00", "^"),
    EIGENTHINGS: ("#009E73", "D"),
}
TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10]
TITLES = {"training": "a step of training", "curvature": "curvature"}
Key = tuple[str, str, str]  # group, network, task


def plot(table: pd.DataFrame, path: Path) -> None:
    """Draws the ratios of a table, with their quartiles, and saves them.

    Args:
      table: as ``table.load`` reads it.
      path: of the picture; its suffix says its format.
    """
    table = table[(table["library"] != OURS) & table["ratio"].notna()]
    places, headings, end = _places(list(dict.fromkeys(map(_key, table.to_dict("records")))))
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(7, 1.6 + 0.18 * end), layout="constrained")
        axes = figure.subplots()
        for y in places.values():
            axes.axhline(y, color="0.92", linewidth=0.8, zorder=0)
        axes.axvline(1, color="0.4", linewidth=1, zorder=1)
        for library, (colour, marker) in STYLES.items():
            own = table[table["library"] == library]
            if len(own):
                y = [places[_key(row)] for row in own.to_dict("records")]
                spread = [own["ratio"] - own["ratio_q1"], own["ratio_q3"] - own["ratio"]]
                style: dict[str, Any] = {"color": colour, "fmt": marker, "markersize": 5, "elinewidth": 1}
                axes.errorbar(own["ratio"], y, xerr=spread, label=f"{library} {own['version'].iloc[0]}", **style)
        for y, text in headings.items():
            axes.text(0.01, y, text, transform=axes.get_yaxis_transform(), va="center", weight="bold")
        axes.set_xscale("log")
        axes.set_xlim(min(0.4, table["ratio_q1"].min() / 1.2), max(1.5, table["ratio_q3"].max() * 1.2))
        axes.xaxis.set_major_locator(FixedLocator(TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.set_yticks(list(places.values()), [task for _, _, task in places])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(end, 0)
        axes.set_xlabel(
            "nmepkg's time in units of the library's: median of rounds, and quartiles.\nLeft of 1 nmepkg is faster."
        )
        first = table.iloc[0]
        axes.set_title(f"{first['cpu']}, threads: {first['threads']}, float32, {first['date']}", fontsize=9)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        figure.savefig(path, dpi=150)


def _key(row: dict[str, Any]) -> Key:
    return row["group"], row["model"], row["task"]


def _places(keys: list[Key]) -> tuple[dict[Key, float], dict[float, str], float]:
    """(the line of each task, that of each network's heading, the end), downwards."""
    places: dict[Key, float] = {}
    headings: dict[float, str] = {}
    y, before = 0.0, None
    for key in keys:
        if key[:2] != before:
            y += 0.4 if before else 0
            headings[y + 1] = f"{key[1]}: {TITLES[key[0]]}"
            y, before = y + 1, key[:2]
        y += 1
        places[key] = y
    return places, headings, y + 1
