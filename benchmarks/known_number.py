"""Test accuracy along the trainings of config/known_number.yaml, beside what others publish of networks of that kind.

    make known-number
    python benchmarks/known_number.py [--study config/known_number.yaml] [--out results/benchmarks]

The trainings have to be there; `make known-number` trains what is missing. The published numbers are those of the table
'Benchmark' in the README of github.com/zalandoresearch/fashion-mnist, which its submitters report and its authors have not
checked.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure

from nmepkg import records
from nmepkg.runs.expand import expand
from nmepkg.storage import RESULT, Store
from nmepkg.study.load import load

ROOT = Path(__file__).parents[1]
# Setup -> (accuracy in %, of what)
PUBLISHED = {
    "cnn": (92.2, "2 Conv Layers, 113K parameters, normalisation (Abel G.)"),
    "mlp": (90.0, "MLP 256-128-64 (lianghong)"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=ROOT / "config" / "known_number.yaml")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    arguments = parser.parse_args()
    found = histories(arguments.study)
    last = found[found["epoch"] == found["epoch"].max()]
    for setup, (published, what) in PUBLISHED.items():
        ours = last.loc[last["setup"] == setup, "test_accuracy"]
        print(
            f"{setup}: {ours.mean():.2f} % (seeds {', '.join(f'{x:.2f}' for x in ours)}), published {published} %, {what}"
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "known_number.csv"
    found.to_csv(file, index=False, float_format="%.4f")
    plot(found, file.with_suffix(".png"))
    print(f"{file}, {file.with_suffix('.png')}")


def histories(study: Path) -> pd.DataFrame:
    """A row for each evaluation of each run, accuracies in %."""
    loaded = load(study)
    expansion, store = expand(loaded), Store(Path(loaded.store))
    rows = []
    for id, setup in expansion.setup_of().items():
        result = records.read(store.result(id), RESULT, {"run": id})
        for row in result["history"]:
            accuracies = {f"{name}_accuracy": 100 * row[f"{name}_accuracy"] for name in ("train", "validation", "test")}
            title = loaded.setups[setup].title
            rows.append(
                {"setup": setup, "title": title, "seed": result["spec"]["seed"], "epoch": row["epoch"], **accuracies}
            )
    return pd.DataFrame(rows).sort_values(["setup", "seed", "epoch"])


def plot(found: pd.DataFrame, path: Path) -> None:
    """Draws test accuracy against epochs, each seed a line, and what is published as a dashed one."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    panels = figure.subplots(1, len(PUBLISHED), sharey=True)
    for axes, (setup, (published, what)) in zip(panels, PUBLISHED.items(), strict=True):
        own = found[found["setup"] == setup]
        for number, (_, run) in enumerate(own.groupby("seed")):
            trained = run[run["epoch"] > 0]
            axes.plot(
                trained["epoch"],
                trained["test_accuracy"],
                color="#0072B2",
                label=None if number else "ours, a line a seed",
            )
        axes.axhline(published, color="0.3", linestyle="--", label=f"published, {published} %:\n{fill(what, 34)}")
        axes.set_title(own["title"].iloc[0], fontsize=9)
        axes.set_xlabel("epoch")
        axes.legend(fontsize=7, loc="lower right")
    panels[0].set_ylabel("test accuracy in %")
    panels[0].set_ylim(80, 94)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
