from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from nmepkg.analysis.figures import marks
from nmepkg.analysis.style import LineStyle

POINTS = pd.DataFrame(
    {
        "x": [1.0, 2.0, 3.0, 4.0],
        "n_seeds": [3, 3, 2, 3],
        "ci_low": [0.1, 0.2, -9.0, 0.3],
        "ci_high": [0.3, 0.4, 9.0, 0.5],
    }
)


def test_the_interval_of_two_seeds_is_left_to_the_table() -> None:
    shown = marks.intervals(POINTS)
    assert shown["ci_low"].tolist()[:2] == [0.1, 0.2]
    assert shown.iloc[2].isna().all()
    assert shown["ci_high"].iloc[3] == 0.5


def test_the_band_reaches_no_further_than_what_is_shown() -> None:
    ax = Figure().subplots()
    marks.draw_interval(ax, POINTS, LineStyle("#000000", "o"), (0.0, 1.0))
    heights = [y for path in ax.collections[0].get_paths() for _, y in path.vertices]
    assert min(heights) >= 0.1
    assert max(heights) <= 0.5
