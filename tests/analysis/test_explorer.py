"""The explorer of a study's page: what it knows of runs, and what a reader can do with it, in a browser where there is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nmepkg.analysis.explored import MOST, explored
from nmepkg.analysis.explorer import explorer
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from tests.analysis.samples import GELU, measurement_content, result

HOSTILE = "</script><!--<script>alert(1)//\u2028<b>&amp;\"'"
STUDY = """\
version: 1
name: hostile
setups:
  mlp: &mlp
    title: TITLE
    data: mnist1d
    model: {name: mlp, width: 4, depth: 1, batch_norm: true}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 90, batch_size: 16, evaluate_every: 1}
  twin: {<<: *mlp, optimizer: {name: adamw, learning_rate: 1e-7}}
measurements:
  gap: {kind: prediction, at: [initial, 7, final], radii: [0.1, 0.3]}
  curvature: {kind: traces, at: [final]}
experiments:
  grid:
    setups: [mlp, twin]
    methods: [{name: sam, label: LABEL}, {name: psam, m: 8}]
    activations: [gelu, {name: gelu, second_derivative: zero}, {name: beta_gelu, beta: [1, 1e3]}]
    rho: [0, 1e-9, 0.1, 0.3]
    seeds: SEEDS
    measurements: MEASURED
  noise: {setups: [mlp], methods: [weight_noise], activations: [relu], sigma2: [1e-3], seeds: [7]}
figures:
  grid: {experiments: [grid], x: rho, lines: method, columns: activation, rows: setup}
"""


@dataclass(frozen=True)
class Made:
    """A study, its made-up results, and what is explored of them."""

    study: Study
    expansion: Expansion
    results: Mapping[str, Mapping[str, Any]]
    explored: dict[str, Any]


def make(folder: Path, seeds: int, evaluations: int, *, measured: bool) -> Made:
    """Of every run 0.1 + seed / 1000 at the end, but of those of weight noise, which diverge."""
    text = STUDY.replace("TITLE", json.dumps(HOSTILE)).replace("LABEL", json.dumps(HOSTILE))
    text = text.replace("SEEDS", str(list(range(seeds)))).replace("MEASURED", "[gap, curvature]" if measured else "[]")
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    study = load(folder / "study.yaml")
    expansion = expand(study)
    results = {}
    for id, run in expansion.runs.items():
        noise = run.spec["method"]["name"] == "weight_noise"
        content = result(id, run.spec, None if noise else 0.1 + run.spec["seed"] / 1000)
        first, last = content["history"][0], content["history"][-1]
        between = [{**first, "epoch": i, "step": i} for i in range(1, evaluations - 1)]
        results[id] = {**content, "history": [first, *between, {**last, "step": evaluations}]}
    found = {}
    for job in expansion.measurements.values():
        radii = [1.0, None] if job.spec["kind"] == "prediction" else 2.0
        names = ("gap_H", "ratio_G") if job.spec["kind"] == "prediction" else ("tr_H", "tr_N")
        places = {at: dict.fromkeys(names, radii) for at in job.spec["at"]}
        found[str(job.run), job.id] = measurement_content(job, expansion.runs[str(job.run)].spec, places)
    return Made(study, expansion, results, explored(study, expansion, results, found))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"), 2, 91, measured=True)


class Scripts(HTMLParser):
    """The scripts of a page, and how many elements it has of each kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.told = ""
        self.tags: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.scripts += [""] if tag == "script" else []

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.scripts[-1] += data
        if self.tags and self.tags[-1] == "pre":
            self.told += data


def test_the_page_has_all_of_it_whatever_things_are_called(made: Made) -> None:
    text = str(explorer(made.explored))
    found = Scripts(text)
    assert len(found.scripts) == 3
    assert json.loads(found.scripts[0]) == made.explored
    assert HOSTILE in made.explored["setup"]["names"][0]
    assert HOSTILE in made.explored["method"]["names"]
    assert text.count("<script") == text.lower().count("</script>") == 3
    assert "b" not in found.tags


def test_every_run_is_there_with_its_strength_and_seed(made: Made) -> None:
    data = made.explored
    assert data["run"] == list(made.results)
    for i, run in enumerate(data["run"]):
        spec = made.expansion.runs[run].spec
        assert data["seed"][i] == spec["seed"]
        assert data["strength"]["values"][i] == spec["method"]["strength"]
        kind = {"sgd": "", "weight_noise": "sigma2"}.get(spec["method"]["name"], "rho")
        assert data["strength"]["names"][data["strength"]["of"][i]] == kind
        on = {axis["strength"]: axis["values"][i] for axis in data["axes"]}
        strength = spec["method"]["strength"]
        assert on["rho"] == (None if kind == "sigma2" else strength)
        assert on["sigma2"] == (None if kind == "rho" else strength)
        beta = spec["activation"].get("beta")
        assert on[None] == beta
        assert data["diverged"][i] == (7 if kind == "sigma2" else None)
    of = {name: {data[name]["names"][k] for k in data[name]["of"]} for name in ("setup", "method", "activation")}
    assert of["setup"] == {f"{HOSTILE} (mlp)", f"{HOSTILE} (twin)"}  # equal titles are told apart
    assert of["method"] == {"SGD", "AdamW", HOSTILE, "PSAM (m = 8)", "Weight noise"}
    assert of["activation"] == {"GELU", "GELU, φ″ := 0", "β-GELU (β = 1)", "β-GELU (β = 1000)", "ReLU"}


def test_curves_are_the_results_rounded_and_thinned(made: Made) -> None:
    curves = {(curve["of"], curve["title"]): curve for curve in made.explored["curves"]}
    accuracy = curves["Evaluations", "Test accuracy (%)"]
    assert accuracy["runs"] is None
    steps = made.explored["steps"][accuracy["steps"][0]]
    assert len(steps) == MOST
    assert (steps[0], steps[-1]) == (0, 91)
    assert sorted(set(steps)) == steps
    finals = {run: values[-1] for run, values in zip(made.explored["run"], accuracy["values"], strict=True)}
    assert finals == {run: float(f"{100 * of['final']['test_accuracy']:.4g}") for run, of in made.results.items()}
    gap = curves["Measurement gap", "Relative gap ‖D − H ĝ‖/‖D‖, ρ = 0.1"]
    assert [made.explored["run"][i] for i in gap["runs"]] == [run for run in made.results if "noise" not in run]
    assert made.explored["steps"][gap["steps"][0]] == [0, 7, 600]
    assert gap["values"][0] == [1.0, 1.0, 1.0]
    beyond = curves["Measurement gap", "Relative gap ‖D − H ĝ‖/‖D‖, ρ = 0.3"]
    assert beyond["values"][0] == [None, None, None]  # no finite number
    assert curves["Measurement curvature", "Trace of the NME, tr N"]["values"][0] == [2.0]


def completed(data: Mapping[str, Any], place: int) -> str:
    """The YAML of a run, as the script writes it."""
    kind = data["strength"]["names"][data["strength"]["of"][place]]
    own = f"    {kind}: [{data['strength']['values'][place]}]\n" if kind else ""
    return f"{data['recipe']['names'][data['recipe']['of'][place]]}{own}    seeds: [{data['seed'][place]}]\n"


def the_run_of(text: str, folder: Path) -> str:
    (folder / "one.yaml").write_text(text, encoding="utf-8")
    (run,) = expand(load(folder / "one.yaml")).runs
    return run


def test_the_yaml_of_a_run_is_a_study_of_that_run(made: Made, tmp_path: Path) -> None:
    last = {recipe: place for place, recipe in enumerate(made.explored["recipe"]["of"])}
    for place in last.values():
        assert the_run_of(completed(made.explored, place), tmp_path) == made.explored["run"][place]


# What a reader does, told in an element of its own: the page has to be as it is for who has just done that.
READER = """
<pre id="told"></pre><script type="module">
const told = {}, $ = (id) => document.getElementById(id);
Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => { told.copied = text; } } });
const settled = () => new Promise((done) => setTimeout(done, 3000));
const column = (place) => [...document.querySelectorAll("#table tbody tr")].map((row) => row.cells[place].textContent);
const marks = () => document.querySelectorAll("#points .mark-symbol.role-mark path").length;
const labels = (filter) => [...$(filter).querySelectorAll("label")];
const tick = (filter, name) => labels(filter).find((label) => label.textContent.trim() === name).firstChild.click();
try {
  await settled();
  told.rows = column(1).length; told.count = $("count").textContent; told.marks = marks();
  told.bold = document.querySelectorAll("b").length;
  tick("only-method", "PSAM (m = 8)"); tick("only-activation", "GELU"); tick("only-activation", "ReLU");
  await settled();
  told.filtered = $("count").textContent; told.methods = [...new Set(column(3))]; told.marked = marks();
  const dot = document.querySelector("#points .mark-symbol.role-mark path");
  told.hover = dot.getAttribute("aria-label");
  dot.dispatchEvent(new MouseEvent("click", { bubbles: true })); told.clicked = $("compared").rows[0].cells[1].textContent;
  $("clear").click(); told.cleared = $("beside").hidden;
  $("more").click(); told.more = column(1).length;
  $("search").value = "S92-"; $("search").dispatchEvent(new Event("input")); told.found = $("count").textContent;
  $("search").value = ""; $("search").dispatchEvent(new Event("input"));
  $("by-value").firstChild.click(); told.up = column(1);
  $("by-value").firstChild.click(); told.down = column(1); told.sorted = $("by-value").ariaSort;
  const boxes = [...document.querySelectorAll("#table tbody input")];
  told.chosen = [0, 1].map((i) => column(8)[i]);
  boxes[0].click(); document.querySelectorAll("#table tbody input")[1].click();
  document.querySelector("#table tbody button").click();
  await settled();
  told.compared = [...$("compared").rows].map((row) => [...row.cells].map((cell) => cell.textContent));
  told.lines = ["left", "right"].map((side) => document.querySelectorAll(`#${side}-chart .mark-line path`).length);
} catch (error) { told.error = String(error.stack); }
$("told").textContent = JSON.stringify(told);
</script>
"""


def test_a_reader_filters_sorts_copies_and_compares_five_thousand_runs(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("there is no Chromium here to open the page in")
    made = make(tmp_path, 93, 40, measured=False)
    text = f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><body>{explorer(made.explored)}{READER}</body></html>'
    assert len(made.results) > 5000
    assert len(text.encode()) < 15e6
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    options = ["--headless=new", "--disable-gpu", "--dump-dom", "--virtual-time-budget=60000", "--window-size=1280,900"]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []
    options += [f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser, *options, f"file://{tmp_path / 'page.html'}"]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = Scripts(dumped)
    told = json.loads(found.told)
    assert "error" not in told
    runs = len(made.results)
    assert told["count"].startswith(f"{runs} of {runs} runs, of which 1 diverged")
    assert told["rows"] == 100  # and more where they are asked for
    assert told["marks"] == runs - 1
    assert told["bold"] == 0
    psam = [run for run, of in made.expansion.runs.items() if of.spec["method"]["name"] == "psam"]
    shown = [run for run in psam if made.expansion.runs[run].spec["activation"] == {**GELU, "second_derivative": None}]
    assert told["filtered"] == f"{len(shown)} of {runs} runs."
    assert told["marked"] == len(shown)
    assert told["methods"] == ["PSAM (m = 8)"]
    assert "Log: results/logs/train/mnist1d" in told["hover"]
    assert told["clicked"].removeprefix("1: ") in told["hover"]
    assert (told["cleared"], told["more"]) == (True, 200)
    assert told["found"] == f"{len(shown) // 93} of {runs} runs."
    assert told["sorted"] == "descending"
    values = sorted(100 * made.results[run]["final"]["test_accuracy"] for run in shown)
    assert [float(value) for value in told["up"]] == pytest.approx(values[:100])
    assert [float(value) for value in told["down"]] == pytest.approx(values[::-1][:100])
    assert told["copied"].startswith(f"# {told['chosen'][0]}\nversion: 1\n")
    assert the_run_of(told["copied"], tmp_path) == told["chosen"][0]
    assert told["compared"][0][1:] == [f"{i}: {run}" for i, run in enumerate(told["chosen"], 1)]
    assert told["compared"][-1] == ["Test accuracy (%)", "19.2", "19.2"]
    assert told["lines"] == [2, 2]
