"""How things differ: specs by their values, code by its modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nmepkg import records
from nmepkg.data.store import KIND as DATA
from nmepkg.records import DamagedError, to_json
from nmepkg.runs.fingerprint import module_hashes
from nmepkg.runs.identity import code_hash, data_targets, modules
from nmepkg.storage import CODE, Store
from nmepkg.study.spec import Spec

Leaves = dict[str, Any]  # dotted place -> value
_ANY = ""  # in place of a seed
Change = tuple[str, Any, Any]  # place, value there, value here; None where there is no such place


def leaves(spec: Mapping[str, Any]) -> Leaves:
    """The values of a spec by their dotted places: ``optimizer.momentum``. Lists are values."""
    return dict(_leaves(spec, ""))


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, f"{where}.{key}" if where else key)
    else:
        yield where, value


def changes(there: Leaves, here: Leaves) -> list[Change]:
    """Every place at which two specs differ."""
    places = sorted({*there, *here})
    return [(place, there.get(place), here.get(place)) for place in places if there.get(place) != here.get(place)]


class Neighbours:
    """Finished runs, ready to be asked for the one that is most like another.

    Runs that differ in their seed alone are compared as one: a study has many seeds, and comparing every run that is missing
    with every one that is there takes the square of their number.

    Args:
      specs: id -> canonical spec.
    """

    def __init__(self, specs: Mapping[str, Mapping[str, Any]]) -> None:
        self.ids = list(specs)
        self._codes: dict[tuple[str, str], int] = {}
        self._columns: dict[str, int] = {}
        self._first: dict[tuple[int, str], int] = {}  # row, seed -> the first run of both
        rows: dict[tuple[tuple[int, int], ...], int] = {}
        for i, spec in enumerate(specs.values()):
            row = rows.setdefault(tuple(self._encoded(leaves(spec), grow=True)), len(rows))
            self._first.setdefault((row, _seed(spec)), i)
            self._first.setdefault((row, _ANY), i)
        self.rows = np.full((len(rows), len(self._columns)), -1, dtype=np.int32)
        for encoded, row in rows.items():
            self.rows[row, [place for place, _ in encoded]] = [code for _, code in encoded]

    def _encoded(self, spec: Leaves, grow: bool) -> list[tuple[int, int]]:
        row = []
        for place, value in spec.items():
            if place == "seed":
                continue
            if grow:
                self._columns.setdefault(place, len(self._columns))
            if place in self._columns:
                key = (place, to_json(value))
                # A value that no finished run has is unlike all of them.
                code = self._codes.setdefault(key, len(self._codes)) if grow else self._codes.get(key, -2)
                row.append((self._columns[place], code))
        return row

    def nearest(self, spec: Mapping[str, Any]) -> str | None:
        """The id of the run that differs in the fewest places; of equals the first. None where there is none."""
        if not self.ids:
            return None
        asked = np.full(self.rows.shape[1], -1, dtype=np.int32)
        for place, code in self._encoded(leaves(spec), grow=False):
            asked[place] = code
        distances = (self.rows != asked).sum(axis=1)
        seed, found = _seed(spec), []
        for row in map(int, np.flatnonzero(distances <= distances.min() + 1)):  # others have no chance by their seed
            same = self._first.get((row, seed))
            found.append((distances[row], same) if same is not None else (distances[row] + 1, self._first[row, _ANY]))
        return self.ids[min(found)[1]]


def _seed(spec: Mapping[str, Any]) -> str:
    return to_json(spec.get("seed"))


def changed_modules(store: Store, code: str, targets: Sequence[str]) -> list[str]:
    """The modules that differ between a code hash of before and the code of ``targets`` now.

    Where the store does not say what the hash stood for, that is said instead.
    """
    if code == code_hash(targets):
        return []
    now = module_hashes(modules(targets))
    try:
        before = records.read(store.code(code), CODE, {"code": code})["modules"]
    except DamagedError:
        return [f"unknown modules of code {code}"]
    return compared_modules(before, now)


def changed_data_modules(store: Store, data: str, spec: Spec) -> list[str]:
    """The same of the code that prepared a data set, by its id, and that of a data set's spec now."""
    try:
        code = records.read(store.data_files(data)[1], DATA, {})["code"]
    except DamagedError:
        return [f"unknown modules of data {data}"]
    return changed_modules(store, code, data_targets(spec))


def compared_modules(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """``nmepkg.methods.sharpness_aware``, ``nmepkg.new (added)``, ``nmepkg.old (removed)``."""
    marks = {
        **{name: name for name in before if name in now and before[name] != now[name]},
        **{name: f"{name} (added)" for name in now if name not in before},
        **{name: f"{name} (removed)" for name in before if name not in now},
    }
    return [marks[name] for name in sorted(marks)]
