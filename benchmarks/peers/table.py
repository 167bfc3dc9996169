"""Rows of the table: times and ratios of rounds, as a file and as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers.cases import NETWORKS, OURS, Case

COLUMNS = [
    *("group", "model", "task", "library", "version", "seconds", "seconds_q1", "seconds_q3"),
    *("ratio", "ratio_q1", "ratio_q3", "rounds", "error", "failure"),
    *("batch", "parameters", "threads", "cpu", "python", "date"),
]


def rows(
    case: Case,
    times: Mapping[str, list[float]],
    errors: Mapping[str, float],
    failures: Mapping[str, str],
    constant: Mapping[str, Any],
    versions: Mapping[str, str],
) -> list[dict[str, Any]]:
    """A row for ours and for each of the others, failures included.

    Args:
      case: what was measured.
      times: library -> seconds of each round; ours among them.
      errors, failures: of those libraries that have one.
      constant: columns that are the same in all rows.
      versions: of the libraries.

    Returns:
      Of columns :data:`COLUMNS`; ``ratio`` is ours in units of the library's, the median of the rounds'.
    """
    result = []
    for library in (OURS, *case.others):
        seconds = np.array(times.get(library, [np.nan]))
        ratios = np.array(times[OURS]) / seconds if library in times and OURS in times else np.array([np.nan])
        row = {
            "group": case.group,
            "model": case.network,
            "task": case.task,
            "library": library,
            "version": versions.get(library, ""),
            **dict(zip(("seconds_q1", "seconds", "seconds_q3"), np.quantile(seconds, [0.25, 0.5, 0.75]), strict=True)),
            **dict(zip(("ratio_q1", "ratio", "ratio_q3"), np.quantile(ratios, [0.25, 0.5, 0.75]), strict=True)),
            "rounds": len(seconds) if library in times else 0,
            "error": errors.get(library, np.nan),
            "failure": failures.get(library, ""),
            "batch": NETWORKS[case.network].batch,
            **constant,
        }
        result.append({column: row[column] for column in COLUMNS})
    return result


def save(found: list[dict[str, Any]], path: Path) -> None:
    pd.DataFrame(found, columns=COLUMNS).to_csv(path, index=False, float_format="%.4g")


def load(path: Path) -> pd.DataFrame:
    return pd.read_csv(path).fillna({"failure": "", "version": ""})


def lines(found: list[dict[str, Any]]) -> list[str]:
    """One case as text."""
    result = []
    for i, row in enumerate(found):
        title = f"{row['model']}, {row['task']}" if i == 0 else ""
        if row["failure"]:
            numbers = f"failed: {row['failure']}"
        else:
            ratio = (
                "" if row["library"] == OURS else f"{row['ratio']:.2f}  ({row['ratio_q1']:.2f} – {row['ratio_q3']:.2f})"
            )
            error = "" if np.isnan(row["error"]) else f"{row['error']:.1e}"
            numbers = f"{1e3 * row['seconds']:10.2f} ms  {ratio:22}{error:>10}"
        result.append(f"{title:28}{row['library']:20}{numbers}".rstrip())
    return result


HEADER = f"{'':28}{'':20}{'a repetition':>13}  {'ours / theirs':22}{'error':>10}"
