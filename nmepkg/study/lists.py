"""How a study's lists of numbers were read: ``[0,5]`` is two values to YAML, and one to who writes decimal commas."""

from __future__ import annotations

from collections.abc import Iterator

from nmepkg.registry import ACTIVATIONS, METHODS
from nmepkg.study.axes import options
from nmepkg.study.spec import Experiment, Study

_Numbers = tuple[float, ...]


def read_lists(study: Study, doubtful: bool = False) -> list[str]:
    """A line for each list of strengths, and of an option's numbers, that experiments of a study have.

    Args:
      doubtful: only for those of two whole numbers, which may be meant as one with a decimal comma.
    """
    experiments: dict[tuple[str, _Numbers], list[str]] = {}
    for experiment in study.experiments.values():
        for name, numbers in _lists(experiment):
            experiments.setdefault((name, numbers), []).append(experiment.name)
    lines = []
    for (name, numbers), places in experiments.items():
        line = f"{study.path}: {name} is {', '.join(f'{number:g}' for number in numbers)} in {', '.join(places)}"
        if len(numbers) == 2 and all(number == int(number) for number in numbers) and _ends_as_fractions_do(numbers[1]):
            comma = ".".join(f"{number:.0f}" for number in numbers)
            lines.append(f"{line}: two values; if one was meant, with a decimal comma, write {comma}")
        elif not doubtful:
            lines.append(line)
    return lines


def _ends_as_fractions_do(number: float) -> bool:
    """Nobody writes 1,1000 for 1.1."""
    return number == 0 or number % 100 != 0


def _lists(experiment: Experiment) -> Iterator[tuple[str, _Numbers]]:
    yield from experiment.strengths.items()
    for kind, entries, known in (
        ("method", experiment.methods, METHODS),
        ("activation", experiment.activations, ACTIVATIONS),
    ):
        numbers: dict[str, dict[float, None]] = {}
        for entry in entries:
            for option, value in options(kind, entry).items():
                if known[entry["name"]].options.get(option, {}).get("type") == "number":
                    numbers.setdefault(option, {})[value] = None
        yield from ((option, tuple(values)) for option, values in numbers.items() if len(values) > 1)
