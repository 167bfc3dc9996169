"""What runs again after what: every edit on a finished study, planned by Snakemake and explained by nmepkg."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.workflow.project import Project

STUDY = """\
version: 1
name: tiny
setups:
  mlp:
    title: A perceptron
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1, weight_decay: 0.001}
    training: {epochs: 1, batch_size: 16}
  resnet:
    data: {name: mnist1d, samples: 200}
    model: {name: resnet1d, width: 2, blocks: [1]}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
measurements:
  step: {kind: alignment, at: [initial, final], examples: 32}
landscapes:
  plane:
    model: {name: mlp, width: 2, depth: 1}
    inputs: 2
    activations: [relu, gelu]
    weights: [[0, 0], [1, 0]]
    range: [-1, 1]
    points: 5
experiments:
  sam: {setups: [mlp], methods: [sam], activations: [relu], rho: [0, 0.1], seeds: [0], measurements: [step]}
  psam: {setups: [mlp, resnet], methods: [psam], activations: [gelu], rho: [0.1], seeds: [0]}
figures:
  first: {experiments: [sam], x: rho, caption: A caption.}
  second: {experiments: [sam, psam], x: rho, rows: setup, columns: activation, lines: method}
  step: {experiments: [sam], measurement: step, x: rho, y: norm_H, lines: at}
  plane: {kind: landscape, landscape: plane}
claims:
  flat: {figure: plane, says: No diagonal, a: {activation: relu, y: largest_norm_N_layer}, b: 0, expect: equal, smallest: 1}
"""

SGD, SAM, PSAM, RESNET = (
    f"mnist1d-{name}-s0" for name in ("mlp-sgd-relu", "mlp-sam-0.1-relu", "mlp-psam-0.1-gelu", "resnet1d-psam-0.1-gelu")
)
FIGURES = {"first", "second", "step", "plane"}
WORDS = {
    "Preparing": "data",
    "Training": "run",
    "Measuring": "measurement",
    "Computing": "landscape",
    "Drawing": "figure",
    "Judging": "claims",
    "Putting": "page",
    "Collecting": "origin",
}


def code(name: str) -> Callable[[Project], None]:
    """Adds a line of code to a module."""
    return lambda project: project.write(name, (project.folder / name).read_text(encoding="utf-8") + "\nNEW = 1\n")


def edit(name: str, *edits: tuple[str, str]) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        for old, new in edits:
            project.edit(name, old, new)

    return change


def study(*edits: tuple[str, str]) -> Callable[[Project], None]:
    return edit("study.yaml", *edits)


def touch(project: Project) -> None:
    for i, path in enumerate(sorted(project.folder.rglob("*"), key=lambda path: path.name)):
        if ".snakemake" not in path.parts:
            os.utime(path, (2_000_000_000 - i, 2_000_000_000 - i))


def check_out_again(project: Project) -> None:
    for name in ("nmepkg", "workflow", "profiles", "Snakefile", "study.yaml"):
        path = project.folder / name
        path.rename(project.folder / "old")
        shutil.copytree(project.folder / "old", path) if (project.folder / "old").is_dir() else shutil.copy(
            project.folder / "old", path
        )
        shutil.rmtree(project.folder / "old") if path.is_dir() else (project.folder / "old").unlink()


def comment(project: Project) -> None:
    for path in project.folder.glob("nmepkg/**/*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(f"# A comment.\n{text}\n# Another.\n", encoding="utf-8")
    project.edit("nmepkg/methods/sharpness_aware.py", "SAM without the normaliser", "SAM, not normalised")


def reorder(project: Project) -> None:
    def turned(value: object) -> object:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return value

    content = turned(yaml.safe_load((project.folder / "study.yaml").read_text(encoding="utf-8")))
    project.write("study.yaml", yaml.safe_dump(content, sort_keys=False))


def profile(project: Project) -> None:
    name = "profiles/local/config.yaml"
    project.write(name, (project.folder / name).read_text(encoding="utf-8") + "\nlatency-wait: 7\n")


def forget(project: Project) -> None:
    """As in a clone of somebody else, on the same store."""
    touch(project)
    shutil.rmtree(project.folder / ".snakemake")


RUNS = {SGD, SAM, PSAM, RESNET}
SEED = study(("rho: [0, 0.1], seeds: [0]", "rho: [0, 0.1], seeds: [0, 1]"))
MORE = study(
    ("experiments:\n", "experiments:\n  more: {setups: [mlp], methods: [sgd], activations: [tanh], seeds: [7]}\n")
)
LESS = study(
    ("experiments: [sam, psam], x", "experiments: [sam], x"),
    (STUDY[STUDY.index("  psam:") : STUDY.index("figures:")], ""),
)
NUMBERS = study(("0.001", "1e-3"), ("rho: [0, 0.1]", "rho: [0.0, 1.0E-1]"))

# What is done, how, and what then runs: runs by their label, figures by name, measurements by their number.
MATRIX: list[tuple[str, Callable[[Project], None], set[str]]] = [
    ("touched files", touch, set()),
    ("a checkout", check_out_again, set()),
    ("comments and docstrings", comment, set()),
    ("reordered keys and experiments", reorder, set()),
    ("numbers written otherwise", NUMBERS, set()),
    ("a comment in the study", study(("figures:\n", "figures:  # below\n")), set()),
    ("a profile", profile, set()),
    ("no memory of Snakemake's", forget, set()),
    ("intervals of checkpoints", study(("name: tiny\n", "name: tiny\ncheckpoints: {seconds: 1, epochs: 2}\n")), set()),
    ("one method", code("nmepkg/methods/sharpness_aware.py"), {SAM, "1 measurements", "first", "second", "step"}),
    ("one model", code("nmepkg/models/resnet1d.py"), {RESNET, "second"}),
    ("an unused method", code("nmepkg/methods/noise.py"), set()),
    ("the data", code("nmepkg/data/mnist1d.py"), {"data", *RUNS, "2 measurements", "first", "second", "step"}),
    ("an activation", code("nmepkg/activations/rectified.py"), {SGD, SAM, "2 measurements", "landscapes", *FIGURES}),
    ("an unused activation", code("nmepkg/activations/logistic.py"), set()),
    (
        "what replaces φ''",
        code("nmepkg/activations/replacement.py"),
        {*RUNS, "2 measurements", "landscapes", *FIGURES},
    ),
    ("the loop", code("nmepkg/training/loop.py"), {*RUNS, "2 measurements", "first", "second", "step"}),
    ("checkpoints and reports", code("nmepkg/training/checkpoint.py"), set()),
    ("a measurement", code("nmepkg/measurement/alignment.py"), {"2 measurements", "step"}),
    ("landscapes", code("nmepkg/landscape/compute.py"), {"landscapes", "plane"}),
    ("plotting", code("nmepkg/analysis/figures/curve.py"), {"first", "second", "step"}),
    ("statistics", code("nmepkg/analysis/statistics.py"), FIGURES),
    ("a caption", study(("A caption.", "Another.")), {"first"}),
    ("a title", study(("title: A perceptron", "title: MLP")), {"first", "second", "step"}),
    ("a seed", SEED, {SGD.replace("s0", "s1"), SAM.replace("s0", "s1"), "2 measurements", "first", "second", "step"}),
    (
        "a strength",
        study(("rho: [0, 0.1]", "rho: [0, 0.1, 0.2]")),
        {SAM.replace("0.1", "0.2"), "1 measurements", "first", "second", "step"},
    ),
    ("an experiment more", MORE, {"mnist1d-mlp-sgd-tanh-s7"}),
    ("an experiment less", LESS, {"second"}),
    ("a figure", study(("figures:\n", "figures:\n  third: {experiments: [sam], x: rho}\n")), {"third"}),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("finished"))
    project.write("study.yaml", STUDY)
    done = project.snakemake("all")
    assert done.returncode == 0, done.stdout
    return project


def planned(project: Project) -> dict[str, set[str]]:
    """What a dry run lists, by kind of thing."""
    done = project.snakemake("-n", "all")
    assert done.returncode == 0, done.stdout
    shown = re.sub(
        r"(Judging the claims|Putting all|Collecting what).*", lambda m: f"{m[1].split()[0]} tiny", done.stdout
    )
    found = re.findall(rf"Job \d+: ({'|'.join(WORDS)}) (?:landscape )?(\S+)", shown)
    return {kind: {id for word, id in found if WORDS[word] == kind} for kind in WORDS.values()}


def explained(project: Project) -> dict[str, set[str]]:
    """What nmepkg has reasons for."""
    reasons = project.nmepkg("explain")
    return {kind: {reason["id"] for reason in reasons if reason["what"] == kind} for kind in WORDS.values()}


def described(plan: dict[str, set[str]]) -> set[str]:
    """A plan in the words of the matrix."""
    words = {run.rsplit("-", 1)[0] for run in plan["run"]} | plan["figure"]
    words |= {"data"} if plan["data"] else set()
    words |= {"landscapes"} if plan["landscape"] else set()
    return words | ({f"{len(plan['measurement'])} measurements"} if plan["measurement"] else set())


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in MATRIX], ids=[row[0] for row in MATRIX])
def test_an_edit_runs_what_it_changes_and_nothing_else(
    finished: Project, tmp_path: Path, change: Callable[[Project], None], expected: set[str]
) -> None:
    kept = ("nmepkg", "workflow", "profiles", "Snakefile", "study.yaml", ".snakemake")
    for name in kept:
        path = finished.folder / name
        shutil.copytree(path, tmp_path / name) if path.is_dir() else shutil.copy(path, tmp_path / name)
    try:
        change(finished)
        plan = planned(finished)
        assert described(plan) == expected
        assert explained(finished) == plan
        assert bool(plan["page"]) == bool(plan["figure"] or plan["claims"])
    finally:
        for name in kept:
            path = finished.folder / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            shutil.move(tmp_path / name, path)


def test_a_reverted_edit_finds_its_results_again(finished: Project) -> None:
    assert described(planned(finished)) == set()


@pytest.mark.parametrize(
    "lost", ["runs/*sam*/result.json", "runs/*sam*/params.npz", "measurements/*sam*/*.json", "landscapes/relu*.npz"]
)
def test_a_result_that_is_gone_is_computed_again_for_the_figure_that_shows_it(finished: Project, lost: str) -> None:
    path = next((finished.folder / "results").glob(lost))
    content = path.read_bytes()
    path.unlink()
    try:
        figures = finished.snakemake("-n").stdout
        assert re.search("Training|Measuring|Computing", figures)
        assert explained(finished) == planned(finished)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("lost", ["first.pdf", "first.csv", "records/first/*.json"])
def test_a_figure_that_is_gone_is_drawn_again(finished: Project, lost: str) -> None:
    path = next((finished.folder / "results" / "figures" / "tiny").glob(lost))
    content = path.read_bytes()
    path.unlink()
    try:
        plan = planned(finished)
        assert described(plan) == {"first"}
        assert explained(finished) == plan
    finally:
        path.write_bytes(content)
