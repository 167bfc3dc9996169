"""What a job checks before it computes: that its id is that of its spec and of the code that it really runs.

A job may wait in a queue for days, while code and study change; and code may be imported in a way that no import statement
shows, or from bytecode that is older than its source. None of that may end in a result under an id that means something else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from nmepkg import extensions, records
from nmepkg.errors import UserError
from nmepkg.runs import identity
from nmepkg.runs.fingerprint import EXCLUDED, closure, is_as_hashed, module_hashes, packages, source_path
from nmepkg.storage import CODE, Store
from nmepkg.study.spec import Spec

# Modules that jobs import and that decide no number: they call, record and report. Nothing else may be outside the hash.
_OUTSIDE = {f"nmepkg.{name}" for name in EXCLUDED} | {
    "nmepkg.storage",
    "nmepkg.study",
    "nmepkg.study.spec",
    "nmepkg.runs",
    *(f"nmepkg.runs.{name}" for name in ("verify", "identity", "fingerprint", "expansion", "jobs")),
    "nmepkg.training",
    *(
        f"nmepkg.training.{name}"
        for name in ("train", "hosts", "result", "checkpoint", "journal", "progress", "provenance", "compilation")
    ),
    "nmepkg.measurement.measure",
    "nmepkg.landscape.record",
    "nmepkg.landscape.check",
}


class Planned:
    """A job as it was planned, checked against the code as it is now.

    Args:
      identify: spec -> (id, targets whose hash the id holds), by the code as it is now.
      id, spec, code: as planned.
      besides: targets of other code that the job runs and whose hash is part of the id by other means.

    Raises:
      UserError: the spec is not canonical, or code or study changed since the job was planned.
    """

    def __init__(
        self,
        identify: Callable[[Spec], tuple[str, list[str]]],
        id: str,
        spec: Any,
        code: str,
        besides: Iterable[str] = (),
    ) -> None:
        try:
            now, self._targets = identify(spec)
        except (KeyError, TypeError, AttributeError, ValueError) as problem:
            raise UserError(f"the spec is not canonical ({problem!r}); let snakemake call this") from None
        self.code = identity.code_hash(self._targets)
        if code != self.code:
            raise UserError(
                f"the code changed since this job was planned: its hash was {code} and is {self.code}; run snakemake again"
            )
        if id != now:
            raise UserError(f"planned as another job, {now}: spec, code or data changed; run snakemake again")
        self._modules = identity.modules([*self._targets, *besides])
        self._hashed = closure(self._modules)
        self._loaded = 0

    def describe(self, store: Store) -> None:
        """Records what the code hash stands for, where no job has yet."""
        path = store.code(self.code)
        if not path.exists():
            modules = module_hashes(identity.modules(self._targets))
            records.write(path, CODE, {"code": self.code, "targets": self._targets, "modules": modules})

    def load(self) -> None:
        """Imports the code, and refuses what was edited since it was hashed or loaded from bytecode of another source.

        Raises:
          UserError: names the module.
        """
        for module in self._modules:
            import_module(module)
        for name in sorted(self._hashed & set(sys.modules)):
            path, loader = source_path(name), getattr(sys.modules[name], "__loader__", None)
            source = path.read_bytes()
            if not is_as_hashed(name, source):
                raise UserError(f"{name}: the code changed while this job started; run snakemake again")
            if loader is None or loader.get_code(name) != compile(source, str(path), "exec", dont_inherit=True):
                folder = path.parent / "__pycache__"
                raise UserError(f"{name}: loaded from bytecode that is not that of its source; delete {folder}")

    def check_imports(self) -> None:
        """Refuses modules of the package, and of extensions, that are loaded but not hashed.

        Raises:
          UserError: names the module.
        """
        if len(sys.modules) == self._loaded:
            return
        self._loaded = len(sys.modules)
        ours, outside = dict(packages()), _OUTSIDE | extensions.registering
        for name in sorted(sys.modules):
            if name.partition(".")[0] in ours and name not in self._hashed and name not in outside:
                raise UserError(
                    f"{name}: imported, but no part of this job's code hash; import it by a statement of a module that is"
                )


def planned_run(id: str, spec: Any, code: str) -> Planned:
    """A training as planned."""

    def identify(spec: Spec) -> tuple[str, list[str]]:
        targets = identity.run_targets(spec)
        return identity.run_id(spec, identity.code_hash(targets), identity.data_id(spec["data"])), targets

    return Planned(identify, id, spec, code)


def planned_measurement(id: str, spec: Any, code: str, run: str, run_spec: Any) -> Planned:
    """A measurement as planned, and its run: the run's model is code that the run's id answers for.

    Raises:
      UserError: as :class:`Planned`; or the code or data that the run's id stands for changed since it was planned.
    """
    targets = identity.run_targets(run_spec)
    now = identity.run_id(run_spec, identity.code_hash(targets), identity.data_id(run_spec["data"]))
    if run != now:
        raise UserError(f"code or data of the run {run} changed since this job was planned; run snakemake again")

    def identify(spec: Spec) -> tuple[str, list[str]]:
        return identity.measurement_id(spec, code, run), identity.measurement_targets(spec)

    return Planned(identify, id, spec, code, besides=targets)


def planned_landscape(id: str, spec: Any, code: str) -> Planned:
    """A landscape as planned."""

    def identify(spec: Spec) -> tuple[str, list[str]]:
        return identity.landscape_id(spec, code), identity.landscape_targets(spec)

    return Planned(identify, id, spec, code)


def planned_data(id: str, spec: Any, code: str) -> Planned:
    """A preparation of data as planned."""

    def identify(spec: Spec) -> tuple[str, list[str]]:
        return identity.data_id(spec), identity.data_targets(spec)

    return Planned(identify, id, spec, code)
