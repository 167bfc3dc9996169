"""config/README.md explains every key, and its examples are studies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from nmepkg import curvature
from nmepkg.registry import (
    ACTIVATIONS,
    AUGMENTATIONS,
    DATASETS,
    LOSSES,
    MEASUREMENTS,
    METHODS,
    MODELS,
    OPTIMIZERS,
    SECOND_DERIVATIVES,
)
from nmepkg.runs.expand import expand
from nmepkg.study import schema
from nmepkg.study.claim_keys import arm
from nmepkg.study.load import LARGEST, SMALLEST, load
from nmepkg.study.placement import MOST, MOST_LANDSCAPES
from nmepkg.study.strict_yaml import read
from tests.study.samples import STUDY

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "config/README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
REGISTRIES = (
    ACTIVATIONS,
    AUGMENTATIONS,
    DATASETS,
    LOSSES,
    MEASUREMENTS,
    METHODS,
    MODELS,
    OPTIMIZERS,
    SECOND_DERIVATIVES,
)
PARTS = (
    schema.study(),
    {"properties": schema.MEASUREMENT},
    {"properties": schema.OPTIMIZER},
    *schema.FIGURE.values(),
    arm(),
)


def keys(part: Any, inside: str = "") -> Iterator[str]:
    """Keys of a study as the README writes them: those of ``optimizer`` as ``optimizer.momentum``."""
    for key, fragment in part.get("properties", {}).items():
        if "properties" not in fragment or "title" in fragment:
            yield f"{inside}{key}"
        else:
            yield from keys(fragment, f"{key}.")
    if isinstance(part.get("additionalProperties"), Mapping):
        yield from keys(part["additionalProperties"])


@pytest.mark.parametrize("key", sorted({key for part in PARTS for key in keys(part)}))
def test_every_key_has_a_row(key: str) -> None:
    assert re.search(rf"^\| (`\w+`, )*`{re.escape(key)}`", TEXT, flags=re.MULTILINE), key


@pytest.mark.parametrize(
    "name",
    sorted({name for registry in REGISTRIES for name, entry in registry.items() for name in (name, *entry.options)}),
)
def test_every_name_and_option_is_there(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEXT), name


@pytest.mark.parametrize("quantity", [q for entry in MEASUREMENTS.values() for q in entry.quantities])
def test_every_quantity_is_there(quantity: str) -> None:
    if quantity[-2:] in ("_G", "_N") and not quantity.startswith("tr_"):
        quantity = f"{quantity[:-1]}H" if f"{quantity[:-1]}H`" in TEXT else quantity  # "the same of G and N"
    assert f"`{quantity}`" in TEXT


def test_there_are_seven_examples() -> None:
    assert len(EXAMPLES) == 7  # each has its test below


@pytest.mark.parametrize(
    "example", [text for text in EXAMPLES if "activations:" in text and "experiments:" not in text]
)
def test_entries(example: str, tmp_path: Path) -> None:
    text = STUDY.replace("batch_size: 16", "batch_size: 64")
    for line in (r"activations: .*", r"methods: .*"):
        if re.search(rf"^{line.split(':')[0]}:", example, flags=re.MULTILINE):
            text = re.sub(rf"^    {line}\n", "", text, flags=re.MULTILINE)
    indented = "".join(f"    {line}\n" for line in example.splitlines())
    study = write(tmp_path, text.replace("    seeds:", f"{indented}    seeds:"))
    assert len(expand(load(study)).runs) > 1


def test_a_measurement(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if text.startswith("measurements:"))
    setups = STUDY[: STUDY.index("experiments:")]
    study = load(write(tmp_path, setups + example))
    expansion = expand(study)
    assert len(expansion.measurements) == len(expansion.runs) == 2 * 2 * 3
    assert expansion.measurements_of(study.figures["aligned"]) == tuple(expansion.measurements)


def test_a_whole_study(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if text.startswith("version:"))
    assert len(expand(load(write(tmp_path, example))).runs) == 3 * 3


def test_an_experiment(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if text.startswith("experiments:"))
    setups = STUDY[: STUDY.index("experiments:")].replace("batch_size: 16", "batch_size: 128")
    expansion = expand(load(write(tmp_path, setups + example)))
    assert len(expansion.cells) == 2 * 3 * 3
    assert len(expansion.runs) == 2 * 2 * 3 + 3


def test_figures_for_a_paper(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if text.startswith("style:"))
    setups = STUDY[: STUDY.index("experiments:")]
    study = load(write(tmp_path, setups + example))
    alone = study.figures["compared_relu"]
    assert (alone.width, alone.style["font_size"], alone.style["font"]) == (3.3, 9.0, "STIXGeneral")
    assert 2 * len(expand(study).cells_of(alone)) == len(expand(study).cells_of(study.figures["compared"]))


def test_a_learning_rate(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if text.startswith("setups:"))
    rest = (
        STUDY[STUDY.index("experiments:") :]
        .replace("[mlp]", "[mlp, mlp_slow]")
        .replace("x: rho,", "x: rho, rows: setup,")
    )
    setups = load(write(tmp_path, f"version: 1\nname: tiny\n{example}{rest}")).setups
    slow, fast = setups["mlp_slow"], setups["mlp"]
    assert slow.title == "MLP, learning rate 0.03"
    assert slow.spec["optimizer"] == {**fast.spec["optimizer"], "learning_rate": 0.03}
    assert {**slow.spec, "optimizer": None} == {**fast.spec, "optimizer": None}


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_rule_and_every_reserved_name_is_told() -> None:
    """A figure's name is a target of Snakemake too: it may be that of no rule."""
    files = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    rules = {
        rule for file in files for rule in re.findall(r"^rule (\w+):", file.read_text("utf-8"), flags=re.MULTILINE)
    }
    assert rules <= set(schema.TARGETS)
    told = TEXT.partition("Names of the workflow's own targets")[2].partition("cannot be names")[0]
    assert set(re.findall(r"`(\w+)`", told)) == schema.TAKEN


def run_snippet(file: str, *libraries: str) -> dict[str, Any]:
    """What its blocks of Python define, run one after another; of those that name a library, as ``python equinox``, some."""
    names: dict[str, Any] = {}
    text = (ROOT / file).read_text(encoding="utf-8")
    for needs, code in re.findall(r"```python ?(\w*)\n(.*?)```", text, flags=re.DOTALL):
        if needs in ("", *libraries):
            exec(code, names)
    return names


def test_the_snippet_of_the_first_page_runs() -> None:
    names = run_snippet("README.md")
    hessian = jax.hessian(lambda params: names["loss_fn"](names["logits_fn"](params)))(names["params"])
    product = jnp.tensordot(hessian["w"]["w"], names["v"]["w"], 2)
    np.testing.assert_allclose(names["hv"]["w"], product, rtol=1e-5, atol=1e-6)


def test_the_experiment_of_the_first_page_is_one_of_the_default_study(tmp_path: Path) -> None:
    """Of each seed SGD once, SAM at two strengths whatever φ'' is, and PSAM with and without φ''."""
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    study = (ROOT / "config/config.yaml").read_text(encoding="utf-8")
    for key in ("experiments", "figures"):
        lines = re.findall(rf"^{key}:\n((?:  .*\n)+)", example, flags=re.MULTILINE)[0]
        study = study.replace(f"\n{key}:\n", f"\n{key}:\n{lines}")
    expansion = expand(load(write(tmp_path, study)))
    new = {cell.run_id for cell in expansion.cells if cell.experiment == "silu"}
    others = {cell.run_id for cell in expansion.cells if cell.experiment != "silu"}
    assert len(new) == 3 * (1 + 2 + 2 * 2)
    assert new.isdisjoint(others)


@pytest.mark.parametrize(
    "page", sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md")}), ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    """To a file, and where they name one, to a heading of it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), flags=re.MULTILINE)
            names = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in names, f"{page}: {target}"


def test_the_picture_of_the_first_page_is_small_and_can_be_made_again() -> None:
    (picture,) = re.findall(r"!\[.*?\]\((.*?)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert (ROOT / picture).stat().st_size < 100_000
    assert f"save('{picture}'" in (ROOT / "Makefile").read_text(encoding="utf-8")
    figure = Path(picture).stem
    assert f"results/figures/mnist1d/{figure}.png" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"\n  {figure}:" in (ROOT / "config/config.yaml").read_text(encoding="utf-8")


def test_the_verdicts_of_the_first_page_are_those_of_the_results() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.search(r"<!-- verdicts -->\n(.*?)<!-- end -->", text, flags=re.DOTALL)[1].splitlines()
    heads, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    claims = pd.read_csv(ROOT / "docs/findings/claims.csv")
    assert len(rows) == 5
    for says, *cells in rows:
        of = claims[claims["says"] == says]
        setups = ["; ".join(of.loc[of["verdict"] == verdict, "setup"]) or "–" for verdict in heads[1:]]
        assert len(of) > 0, says
        assert cells == setups, says


def test_the_snippet_of_the_library_runs() -> None:
    names = run_snippet("docs/library.md")
    for h, g, n in zip(*(jax.tree.leaves(names[name]) for name in ("hv", "gv", "nv")), strict=True):
        np.testing.assert_allclose(h, g + n, rtol=1e-4, atol=1e-6)
    assert len(names["many"]) == 2
    # What it says of other libraries: tests/methods/test_other_libraries.py


def test_the_snippets_of_curvature_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it says of their results is so, by the dense matrix of the whole loss."""
    monkeypatch.chdir(tmp_path)
    names = run_snippet("docs/curvature.md")
    H, G = (np.asarray(names[part] @ np.eye(names[part].size), np.float64) for part in "HG")
    close = {"rtol": 1e-3, "atol": 1e-5}

    def loss(flat: jax.Array) -> jax.Array:
        batch = {"x": names["x"], "y": names["y"]}
        return names["loss_fn"](names["logits_fn"](names["H"].unravel(flat), batch), batch)

    np.testing.assert_allclose(H, jax.hessian(loss)(names["H"].ravel(names["params"])), **close)
    np.testing.assert_allclose(names["H"].ravel(names["hv"]), H @ names["H"].ravel(names["params"]), **close)
    np.testing.assert_allclose(names["rest"], 0, atol=1e-4)
    for name in ("flat", "same"):
        np.testing.assert_allclose(names[name], H.sum(axis=1), **close)
    truth = np.linalg.eigvalsh(H)
    np.testing.assert_allclose(names["found"].values, truth[[-1, -2, 0]], **close)
    np.testing.assert_allclose(np.sort(names["values"]), truth[-2:], **close)
    assert abs(names["mean_square"] - np.mean(truth**2)) < 5 * names["its_error"]
    assert names["first"].size == 5 * 8 + 8
    diagonal = names["H"].unravel(np.diag(H))
    of_layers = {name: float(sum(map(np.sum, jax.tree.leaves(diagonal[name])))) for name in diagonal}
    assert names["traces"] == pytest.approx(of_layers, rel=0.5)
    assert names["A"].size == 5
    assert names["long"] == curvature.trace(names["H"], max_samples=100)
    assert abs(names["tr"].value - np.trace(H)) < 5 * names["tr"].standard_error
    assert abs(names["tr_g"].value - np.trace(G)) < 5 * names["tr_g"].standard_error + 1e-4


def test_numbers_are_read_as_it_says(tmp_path: Path) -> None:
    """Of YAML 1.2, and within the sizes that are told."""
    assert dict(read(write(tmp_path, "a: 1e-3\nb: 010\nc: 0o10\nd: 0x10\ne: no\n"))) == {
        "a": 1e-3, "b": 10, "c": 8, "d": 16, "e": "no",
    }  # fmt: skip
    assert f"between {SMALLEST:g} and {LARGEST:g} in size" in TEXT.replace("1e-20 and 1e20", "1e-20 and 1e+20")


def test_the_room_in_a_figure_is_as_it_says() -> None:
    assert f"tells panels apart, {MOST['rows']} rows at most" in TEXT
    assert f"tells panels apart, {MOST['columns']} columns at most" in TEXT
    assert f"tells curves apart, {MOST['lines']} at most" in TEXT
    assert f"room for {MOST_LANDSCAPES} activations" in TEXT
