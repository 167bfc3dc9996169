"""What a study's page explores: its runs, their learning curves and measurements, as columns of plain numbers.

``explorer.js`` reads them. What several runs have in common, a setup, a method or a list of steps, is written once, and runs
refer to it by its place: so five thousand runs take a few megabytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from nmepkg.analysis.labels import activation_label, axis_title, method_label, number, symbol
from nmepkg.analysis.measurements import quantity
from nmepkg.analysis.quantities import is_accuracy, metric_title
from nmepkg.analysis.style import BLACK, BLUE, GREEN, OLIVE, ORANGE, PURPLE, SKY, VERMILION, line_styles
from nmepkg.records import to_json
from nmepkg.registry import DATASETS, MEASUREMENTS, METHODS, STRENGTHS
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.schema import VERSION
from nmepkg.study.spec import Cell, Setup, Spec, Study

Content = Mapping[str, Any]  # of a file
Value = TypeVar("Value", bound=Hashable)

COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, OLIVE, BLACK)
MOST = 50  # evaluations or measurements of a curve that are shown, its first and last among them


def explored(
    study: Study, expansion: Expansion, results: Mapping[str, Content], measured: Mapping[tuple[str, str], Content]
) -> dict[str, Any]:
    """All that the explorer of a page knows, for JSON.

    Args:
      results: run id -> content of its ``result.json``, of the runs that are shown.
      measured: (run id, measurement id) -> content of its file; others of these runs are not shown.

    Raises:
      UserError: a measurement holds something that is no number.
    """
    setup_of, cells = expansion.setup_of(), _cells(expansion, results)
    specs = [expansion.runs[run].spec for run in results]
    titles = _titles(study, [setup_of[run] for run in results])
    written = [_written(cells[run][0], spec) for run, spec in zip(results, specs, strict=True)]
    optimizers = [(spec["optimizer"]["name"],) for spec in specs]
    setups = [titles[setup_of[run]] for run in results]
    methods = [method_label(method, names) for (method, _), names in zip(written, optimizers, strict=True)]
    activations = [activation_label(activation) for _, activation in written]
    recipes = _recipes(study, [study.setups[setup_of[run]] for run in results], specs)
    strengths = [METHODS[spec["method"]["name"]].strength for spec in specs]
    steps: dict[tuple[int, ...], int] = {}
    curves = [*_evaluations(results, steps), *_measurements(Store(Path(study.store)), cells, measured, steps)]
    return {
        "logs": f"{study.output}/logs/train/",
        "run": list(results),
        "seed": [spec["seed"] for spec in specs],
        "diverged": [result["diverged"] and result["diverged"]["step"] for result in results.values()],
        "setup": _column(setups) | _colors(None, setups, setups),
        "method": _column(methods) | _colors("method", methods, [method for method, _ in written]),
        "activation": _column(activations) | _colors("activation", activations, [entry for _, entry in written]),
        "family": _column([_family(activation) for _, activation in written]),
        "strength": {
            **_column([key or "" for key in strengths]),
            "values": [spec["method"]["strength"] for spec in specs],
            "symbols": {key: symbol(key) for key in strengths if key},
        },
        "axes": [*_strengths(specs), *_options([cells[run][0] for run in results])],
        "recipe": _column(recipes),
        "colors": list(COLORS),
        "curves": curves,
        "steps": [list(places) for places in steps],
    }


def recipe(study: Study, setup: Setup, spec: Spec) -> str:
    """A study that trains the runs of a setup with one method and activation: YAML that lacks strength and seed at its end.

    The keys ``rho: [0.1]``, or what else the method's strength is called, and ``seeds: [0]`` of its only experiment make it
    whole; the run then has the same id, where the same data and code are.
    """
    own = {key: value for key, value in spec.items() if key not in ("method", "activation", "seed")}
    data = DATASETS[spec["data"]["name"]].options
    own["data"] = {key: value for key, value in spec["data"].items() if key == "name" or key in data}
    method = {key: value for key, value in spec["method"].items() if key != "strength"}
    content = {
        "version": VERSION,
        "name": f"{study.name[:90]}-one-run",  # not the study's own, whose figures it would take for its own
        "store": study.store,
        **({"extensions": list(study.extensions)} if study.extensions else {}),
        "setups": {setup.name: {"title": setup.title, **own}},
        "experiments": {"run": {"setups": [setup.name], "methods": [method], "activations": [spec["activation"]]}},
    }
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True, width=1000)


def _recipes(study: Study, setups: Sequence[Setup], specs: Sequence[Spec]) -> list[str]:
    """That of every run; equal ones are written once, as that takes most of the time."""
    arms = [
        to_json({**spec, "setup": setup.name, "seed": None, "method": {**spec["method"], "strength": None}})
        for setup, spec in zip(setups, specs, strict=True)
    ]
    texts = {arm: (setup, spec) for arm, setup, spec in zip(arms, setups, specs, strict=True)}
    written = {arm: recipe(study, setup, spec) for arm, (setup, spec) in texts.items()}
    return [written[arm] for arm in arms]


def _cells(expansion: Expansion, runs: Iterable[str]) -> dict[str, list[Cell]]:
    """The cells of every run. The first is one that is written as the run's spec is, if any is.

    PSAM without a strength is SGD, and to SGD it does not matter what replaces φ'': such cells have the run of others.
    """
    cells: dict[str, list[Cell]] = {run: [] for run in runs}
    for cell in expansion.cells:
        if cell.run_id in cells:
            cells[cell.run_id].append(cell)
    for run, found in cells.items():
        spec = expansion.runs[run].spec
        found.sort(key=lambda cell: sum(_agree(cell, spec)), reverse=True)
    return cells


def _agree(cell: Cell, spec: Spec) -> tuple[bool, bool]:
    second = cell.activation.get("second_derivative") is None
    return (
        cell.method["name"] == spec["method"]["name"],
        second == (spec["activation"]["second_derivative"] is None),
    )


def _written(cell: Cell, spec: Spec) -> tuple[Spec, Spec]:
    """Method and activation of a run as the study writes them, with its labels, or else as its spec has them."""
    method, activation = _agree(cell, spec)
    plain = {key: value for key, value in spec["method"].items() if key != "strength"}
    return cell.method if method else plain, cell.activation if activation else spec["activation"]


def _family(activation: Spec) -> str:
    """An activation and what replaces its φ'' without their options: what a line over one of those goes through."""
    second = activation.get("second_derivative")
    name = second["name"] if isinstance(second, Mapping) else second
    return activation_label({"name": activation["name"], "second_derivative": name and {"name": name}})


def _titles(study: Study, setups: Iterable[str]) -> dict[str, str]:
    """What setups are called: by their titles, and where two have the same by their names too."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(setups):
        names[study.setups[name].title].append(name)
    return {name: title if len(alike) == 1 else f"{title} ({name})" for title, alike in names.items() for name in alike}


def _column(values: Iterable[Value]) -> dict[str, Any]:
    """A column of which many values are equal: each once, and which of them every row has."""
    places: dict[Value, int] = {}
    of = [places.setdefault(value, len(places)) for value in values]
    return {"names": list(places), "of": of}


def _colors(axis: str | None, names: Sequence[str], values: Sequence[Any]) -> dict[str, list[str]]:
    """The colours that names have in figures, but each one of its own as long as there are any: here markers are not theirs."""
    first = dict(zip(reversed(names), reversed(values), strict=True))
    colors: list[str] = []
    for style in line_styles(axis, [first[name] for name in dict.fromkeys(names)]):
        free = (color for color in (style.color, *COLORS) if color not in colors)
        colors.append(next(free, style.color))
    return {"colors": colors}


def _strengths(specs: Sequence[Spec]) -> Iterator[dict[str, Any]]:
    """Every kind of strength as an axis: runs without a method are at 0 of each, and those of another kind nowhere."""
    kinds = [METHODS[spec["method"]["name"]].strength for spec in specs]
    for name in STRENGTHS:
        methods = dict.fromkeys(spec["method"]["name"] for spec, kind in zip(specs, kinds, strict=True) if kind == name)
        if methods:
            values = [
                spec["method"]["strength"] if kind in (name, None) else None
                for spec, kind in zip(specs, kinds, strict=True)
            ]
            yield {"title": axis_title(name, methods=tuple(methods)), "strength": name, "values": values}


def _options(cells: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """Every option that is a number, and not the same one in all runs that have it, as an axis."""
    values = [_flat(cell.axes) for cell in cells]
    for name in dict.fromkeys(key for row in values for key in row):
        if len({row[name] for row in values if name in row}) > 1:
            yield {"title": axis_title(name), "strength": None, "values": [row.get(name) for row in values]}


def _flat(options: Spec, prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in options.items():
        if isinstance(value, Mapping):
            found |= _flat(dict(value), f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = value
    return found


def _evaluations(results: Mapping[str, Content], steps: dict[tuple[int, ...], int]) -> Iterator[dict[str, Any]]:
    """The learning curve of every metric. Of a diverged run its last evaluation does not count, as nowhere else."""
    histories = [_thinned(result["history"]) for result in results.values()]
    of = [_place(steps, (row["step"] for row in history)) for history in histories]
    metrics = dict.fromkeys(name for history in histories for name in history[0] if name not in ("epoch", "step"))
    for name in metrics:
        values = [[_short(row.get(name), name) for row in history] for history in histories]
        if any(value is not None for curve in values for value in curve):
            title = metric_title(name, "final")
            yield {"title": title, "of": "Evaluations", "runs": None, "steps": of, "values": values}


def _measurements(
    store: Store,
    cells: Mapping[str, Sequence[Cell]],
    measured: Mapping[tuple[str, str], Content],
    steps: dict[tuple[int, ...], int],
) -> Iterator[dict[str, Any]]:
    """Every quantity of every measurement along training, at every radius that it has."""
    curves: dict[tuple[str, str, float | None], dict[str, Any]] = {}
    for place, (run, found) in enumerate(cells.items()):
        names = {
            name: id for cell in reversed(found) for name, id in cell.measurements.items() if (run, id) in measured
        }
        for name, id in names.items():
            content, path = measured[run, id], store.measurement(run, id)
            kind = MEASUREMENTS[content["spec"]["kind"]]
            points = _thinned(content["points"])
            known = {key for point in points for key in point["values"] or ()}
            for key in kind.quantities if kind.figure == "curve" else ():
                for radius in content["spec"].get("radii", [None]) if key in known else ():
                    curve = curves.setdefault((name, key, radius), _curve(name, key, radius, content["spec"]))
                    reached = [point for point in points if point["values"] is None or key in point["values"]]
                    curve["runs"].append(place)
                    curve["steps"].append(_place(steps, (point["step"] for point in reached)))
                    curve["values"].append(
                        [_short(quantity(content, point, key, path, radius), key) for point in reached]
                    )
    yield from curves.values()


def _curve(name: str, key: str, radius: float | None, spec: Spec) -> dict[str, Any]:
    at = "" if radius is None else f", ρ = {number(radius)}"
    title = metric_title(key, "final", spec) + at
    return {"title": title, "of": f"Measurement {name}", "runs": [], "steps": [], "values": []}


def _thinned(rows: Sequence[Any]) -> list[Any]:
    """At most :data:`MOST` of them, evenly, the first and the last among them."""
    if len(rows) <= MOST:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (MOST - 1))] for i in range(MOST)]


def _place(lists: dict[tuple[int, ...], int], steps: Iterable[int]) -> int:
    return lists.setdefault(tuple(steps), len(lists))


def _short(value: float | None, name: str) -> float | None:
    """A number to four digits, an accuracy in per cent."""
    if value is None:
        return None
    return float(f"{100 * value if is_accuracy(name) else value:.4g}")
