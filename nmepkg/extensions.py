"""Entries of the registry that are not this package's: a lab's own activations, methods, models, data sets and more.

A study names modules, ``extensions: [mylab.nme]``, which lie beside it or are installed. Such a module says what there is, in
mappings that are called as those of :mod:`nmepkg.registry`, and holds no code itself::

    from nmepkg.entries import Entry, Method, Strength
    from nmepkg.fragments import positive

    ACTIVATIONS = {"mish": Entry("mylab.activations:mish", {"beta": positive("sharpness", default=1.0)}, label="Mish")}
    STRENGTHS = {"tau": Strength("τ", "temperatures τ of tilted steps")}
    METHODS = {"tilted": Method("mylab.methods:tilted", strength="tau", cost=2)}

The code that an entry names is in the hash of the runs that use it, with all of the extension's modules that it imports.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from nmepkg import registry
from nmepkg.entries import Augmentation, Data, Entry, Measurement, Method, Model, Strength
from nmepkg.errors import UserError

# What a module may define, and of what class each is.
SECTIONS: dict[str, type] = {
    "ACTIVATIONS": Entry,
    "SECOND_DERIVATIVES": Entry,
    "METHODS": Method,
    "MODELS": Model,
    "DATASETS": Data,
    "AUGMENTATIONS": Augmentation,
    "LOSSES": Entry,
    "OPTIMIZERS": Entry,
    "MEASUREMENTS": Measurement,
    "FIGURES": Entry,
    "STRENGTHS": Strength,
}
_NAME = re.compile(r"[A-Za-z]\w*\Z")  # part of file names, and of keys
_HEAVY = ("jax", "flax", "tensorflow", "torch")  # planning starts in a second, without them

# top-level package or module -> where its code is, as nmepkg.runs.fingerprint takes it.
packages: dict[str, Path] = {}
# Modules that were imported to read entries: they decide no number.
registering: set[str] = set()
_owners: dict[tuple[str, str], str] = {}  # (section, name) -> the module that it is from


def load(names: Iterable[str], folder: Path) -> None:
    """Adds to the registry what modules define; a module that was loaded already is left alone.

    Args:
      names: dotted names of modules.
      folder: in which they are looked for before all else, that of the study.

    Raises:
      UserError: a module is not there, fails, imports JAX to say what there is, or defines what cannot be used. The text
        names it, and what would do.
    """
    for name in names:
        top = name.partition(".")[0]
        if top == "nmepkg":
            raise UserError(f"{name!r} is this package's own; name a module of yours")
        _find(name, top, folder.resolve())
        before, heavy = set(sys.modules), [module for module in _HEAVY if module not in sys.modules]
        try:
            module = importlib.import_module(name)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{name!r} cannot be imported: {type(error).__name__}: {error}") from None
        registering.update(new for new in set(sys.modules) - before if new.partition(".")[0] in packages)
        if loaded := [one for one in heavy if one in sys.modules]:
            raise UserError(
                f"{name!r} imports {loaded[0]} only to say what there is; keep the code in another module, "
                "and name it as 'module:attribute'"
            )
        _register(name, vars(module))


def _find(name: str, top: str, folder: Path) -> None:
    """Notes where the code of a package is. That beside the study comes before one of the same name that is installed."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise UserError(f"no module {name!r} in {folder}, nor installed; mend the name, or install it")
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise UserError(f"{top!r} is no package of Python files with an __init__.py; add one")
    origin = Path(spec.origin)
    path = origin.parent if origin.name == "__init__.py" else origin
    if packages.setdefault(top, path) != path:
        raise UserError(f"{top!r} is {path} here and was {packages[top]}; rename one of them")


def _register(module: str, defined: Mapping[str, Any]) -> None:
    kinds = tuple(SECTIONS.values())
    tables = {name: value for name, value in defined.items() if isinstance(value, dict) and name not in SECTIONS}
    unknown = [name for name, table in tables.items() if any(isinstance(entry, kinds) for entry in table.values())]
    if unknown:
        raise UserError(f"{module}.{unknown[0]}: unknown kind; choose from {', '.join(SECTIONS)}")
    found = {section: defined[section] for section in SECTIONS if section in defined}
    if not found:
        raise UserError(f"{module!r} defines nothing; it may have {', '.join(SECTIONS)}")
    for section, entries in found.items():
        known: dict[str, Any] = getattr(registry, section)
        for name, entry in _items(entries, f"{module}.{section}"):
            where = f"{module}.{section}[{name!r}]"
            if not isinstance(name, str) or not _NAME.match(name):
                raise UserError(f"{where}: is not a name; use letters, digits and '_', starting with a letter")
            if not isinstance(entry, SECTIONS[section]):
                raise UserError(f"{where}: is no {SECTIONS[section].__name__} of nmepkg.entries; make it one")
            owner = _owners.get((section, name), "nmepkg" if name in known else module)
            if owner != module:
                raise UserError(f"{where}: {owner} has one of that name; rename it")
            if isinstance(entry, Entry):
                _check(entry, where)
            _owners[section, name] = module
            known[name] = entry
    for name, method in found.get("METHODS", {}).items():
        if method.strength is not None and method.strength not in registry.STRENGTHS:
            place = f"{module}.METHODS[{name!r}].strength"
            raise UserError(f"{place}: unknown strength {method.strength!r}; add it to {module}.STRENGTHS")


def _items(entries: Any, where: str) -> Iterable[tuple[Any, Any]]:
    if not isinstance(entries, Mapping):
        raise UserError(f"{where}: is not a mapping of names to entries; make it one")
    return entries.items()


def _check(entry: Entry, where: str) -> None:
    """An entry whose code would be in no hash, or whose options are no schemas."""
    module, _, attribute = entry.target.partition(":")
    if not attribute or module.partition(".")[0] not in {*packages, "nmepkg"}:
        raise UserError(
            f"{where}: {entry.target!r} is not 'module:attribute' of a package that a study names as an extension; "
            "code of others could change unseen, so wrap it in a module of yours"
        )
    for option, schema in entry.options.items():
        if option in {"name", "label", "kind", *registry.STRENGTHS}:
            raise UserError(f"{where}.options[{option!r}]: means something else in a study; rename it")
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise UserError(f"{where}.options[{option!r}]: is no JSON Schema: {error.message}") from None
        if "description" not in schema:
            raise UserError(f"{where}.options[{option!r}]: has no 'description'; say what it means")
