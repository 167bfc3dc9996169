"""The runs that a claim compares, found among those of a study by what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nmepkg.records import to_json
from nmepkg.registry import METHODS
from nmepkg.study.axes import options
from nmepkg.study.canonical import canonical
from nmepkg.study.spec import Arm, Cell, Claim, Comparison, Figure, Line, Spec, Study

# Setup and text of a run without its seed -> seed -> the cells that it answers for.
Index = Mapping[tuple[str, str], Mapping[int, tuple[Cell, ...]]]


class TooFewSeedsError(LookupError):
    """Runs that cannot be compared for want of seeds."""


def run_text(setup: Spec, method: Spec, activation: Spec, strength: float) -> str:
    """The one text of the runs of a setup's spec with this method, activation and strength, whatever their seed."""
    return to_json(
        canonical(
            {
                **setup,
                "method": {"name": method["name"], **options("method", method), "strength": strength},
                "activation": {"name": activation["name"], **options("activation", activation)},
            }
        )
    )


def index(cells: Iterable[Cell], text: Callable[[Cell], str], seeds: Callable[[Cell], Iterable[int]]) -> Index:
    """The runs of some cells.

    Args:
      text: of a cell's run, :func:`run_text`.
      seeds: that a cell stands for.
    """
    found: dict[tuple[str, str], dict[int, tuple[Cell, ...]]] = {}
    for cell in cells:
        runs = found.setdefault((cell.setup, text(cell)), {})
        for seed in seeds(cell):
            runs[seed] = (*runs.get(seed, ()), cell)
    return found


def compare(study: Study, claim: Claim, setup: str, known: Index) -> Comparison:
    """What a claim compares in one setup.

    Raises:
      LookupError: the study has no such runs; says which.
      TooFewSeedsError: it has them, with fewer than two seeds of all of them.
    """
    figure = study.figures[claim.figure]

    def runs(line: Line, strength: float) -> Mapping[int, Cell] | None:
        text = run_text(study.setups[setup].spec, line.method, line.activation, strength)
        found = known.get((setup, text))
        if found is None:
            return None
        if figure.measurement is None:
            return {seed: cells[0] for seed, cells in found.items()}
        # What is measured of a run depends on what replaces φ'', even where the run does not.
        activation = options("activation", line.activation)
        fitting = {
            seed: cell
            for seed, cells in found.items()
            for cell in reversed(cells)
            if figure.measurement in cell.measurements and options("activation", cell.activation) == activation
        }
        return fitting or None

    def sides(arm: Arm) -> tuple[dict[float, Mapping[int, Cell]], dict[float, Mapping[int, Cell]]]:
        if isinstance(arm.strength, Line):
            offered = _strengths(study, arm.strength, figure) or _strengths(study, arm.strength)
            chooser = {s: found for s in offered if s and (found := runs(arm.strength, s))}
            own = {s: found for s in chooser if (found := runs(arm.line, s))}
            if not own or own.keys() != chooser.keys():
                raise LookupError(_missing(study, arm.line, setup, chooser or None, {}))
            return own, chooser
        found = runs(arm.line, arm.strength)
        if found is None:
            there = {s for s in _strengths(study, arm.line) if s and runs(arm.line, s)}
            raise LookupError(_missing(study, arm.line, setup, {arm.strength: {}}, there))
        return {arm.strength: found}, {}

    arms = [arm for arm in (claim.a, claim.b) if isinstance(arm, Arm)]
    arms += [arm.minus for arm in arms if arm.minus is not None]
    found = {arm: sides(arm) for arm in arms}
    seeds = set.intersection(*(set(cells) for own, by in found.values() for cells in (*own.values(), *by.values())))
    if len(seeds) < 2:
        raise TooFewSeedsError(
            f"setup {setup!r} has {len(seeds) or 'no'} {'seed' if len(seeds) == 1 else 'seeds'} of all that is compared; "
            "give its experiments two at least"
        )
    return Comparison(claim, setup, tuple(sorted(seeds)), found)


def _strengths(study: Study, line: Line, figure: Figure | None = None) -> list[float]:
    """Every strength of a method's kind in a study; or where the experiments of a figure have the line itself."""
    kind = METHODS[line.method["name"]].strength
    if kind is None:
        return [0.0]
    shown = [study.experiments[name] for name in figure.experiments] if figure else study.experiments.values()
    return sorted(
        {
            strength
            for experiment in shown
            if figure is None
            or (
                any(_alike("method", entry, line.method) for entry in experiment.methods)
                and any(_alike("activation", entry, line.activation) for entry in experiment.activations)
            )
            for strength in experiment.strengths.get(kind, ())
        }
    )


def _alike(kind: str, one: Spec, other: Spec) -> bool:
    return one["name"] == other["name"] and options(kind, one) == options(kind, other)


def _missing(study: Study, line: Line, setup: str, asked: Iterable[float] | None, there: Iterable[float]) -> str:
    kind = METHODS[line.method["name"]].strength
    what = f"no run of {_text(line.method)} with {_text(line.activation)} in setup {setup!r}"
    if kind is None:
        return f"{what}; give an experiment that method and activation"
    if not (there := sorted(there)):
        at = "" if asked is None else f" at {kind} = {', '.join(f'{s:g}' for s in asked)}"
        return f"{what}{at}; give an experiment that method and activation"
    at = ", ".join(f"{s:g}" for s in asked or ())
    return f"{what} at {kind} = {at}, only at {', '.join(f'{s:g}' for s in there)}; name one of these, or add a run"


def _text(entry: Spec) -> str:
    shown = [f"{key} = {value}" for key, value in entry.items() if key not in ("name", "label") and value is not None]
    return f"{entry['name']!r} ({', '.join(shown)})" if shown else repr(entry["name"])
