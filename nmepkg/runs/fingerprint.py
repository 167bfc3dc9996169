"""The hash of the code that a run stands for: exact about what changes a result, blind to what does not.

It covers the static import closure of some modules inside the package and those of extensions, each as its syntax tree
without comments, docstrings and positions. So an edit of a comment, a reformatted line or a fresh checkout changes nothing, and
an edit of one model's module changes the runs of that model alone.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from nmepkg import extensions
from nmepkg.errors import UserError
from nmepkg.files import written_whole

PACKAGE = Path(__file__).resolve().parents[1]

# Names without numbers behind them: an entry of the registry counts where a run uses it, an error's text never does.
EXCLUDED = frozenset(
    {
        *("registry", "measurement_kinds", "extensions", "fragments", "entries"),
        *("errors", "files", "gpus", "records", "surroundings"),
    }
)

# Packages, name and place each: a folder, or the file of a module that is in none.
Packages = tuple[tuple[str, Path], ...]


def packages() -> Packages:
    """This one, and those of the extensions that a study has named."""
    return ((PACKAGE.name, PACKAGE), *extensions.packages.items())


def fingerprint(modules: Iterable[str], among: Packages | None = None) -> str:
    """Sixteen hex digits over the import closure of ``modules`` (dotted names) inside packages.

    Raises:
      ModuleNotFoundError: a module is not part of one.
    """
    return _fingerprint(tuple(sorted(set(modules))), among or packages())


@cache
def _fingerprint(modules: tuple[str, ...], among: Packages) -> str:
    hashed = hashlib.sha256()
    for module in sorted(closure(modules, among)):
        hashed.update(f"{module} {_module(module, among)[0]}\n".encode())
    for _, package in among:
        _remember(package)
    return hashed.hexdigest()[:16]


def module_hashes(modules: Iterable[str]) -> dict[str, str]:
    """Module -> sixteen hex digits of its code, for all of the import closure."""
    return {module: _module(module, packages())[0][:16] for module in sorted(closure(modules))}


def closure(modules: Iterable[str], among: Packages | None = None) -> set[str]:
    """The modules of packages that importing ``modules`` imports, by their import statements, parents included."""
    among = among or packages()
    excluded = {f"{name}.{module}" for name, _ in among[:1] for module in EXCLUDED}
    found: set[str] = set()
    waiting = list(modules)
    for module in waiting:
        if _path(module, among) is None:
            raise ModuleNotFoundError(f"{module} is no module of {', '.join(str(path) for _, path in among)}")
    while waiting:
        module = waiting.pop()
        parts = module.split(".")
        for ancestor in (".".join(parts[: i + 1]) for i in range(len(parts))):
            if ancestor not in found and ancestor not in excluded:
                found.add(ancestor)
                waiting.extend(name for name in _module(ancestor, among)[1] if _path(name, among) is not None)
    return found


def is_as_hashed(module: str, source: bytes) -> bool:
    """Whether a module's source is, to the byte, the one that its hash was taken of."""
    return _module(module, packages())[2] == hashlib.sha256(source).hexdigest()


def source_path(module: str, among: Packages | None = None) -> Path:
    """The file of a module of a package."""
    path = _path(module, among or packages())
    assert path is not None, module
    return path


@cache
def _module(module: str, among: Packages) -> tuple[str, list[str], str]:
    """(hash, what its import statements may import, hash of the source) of one module."""
    path, package = source_path(module, among), dict(among)[module.partition(".")[0]]
    source = path.read_bytes()
    known, key = _remembered(package), hashlib.sha256(f"{module} {path.name}\n".encode() + source).hexdigest()
    if key not in known:
        try:
            tree = ast.parse(source, str(path))
        except SyntaxError as error:
            raise UserError(f"{path}: line {error.lineno}: {error.msg}; mend it") from None
        parts: list[str] = []
        _write_canonical(tree, parts.append)
        digest = hashlib.sha256("".join(parts).encode()).hexdigest()
        known[key] = (digest, sorted(set(_imports(tree, module, path))))
        _unsaved.add(package)
    digest, imports = known[key]
    return digest, imports, hashlib.sha256(source).hexdigest()


# Parsing takes longer than all the rest. So what was found for a source is kept beside its bytecode, as that is, under a hash
# of the source: it is never out of date.
_unsaved: set[Path] = set()


@cache
def _remembered(package: Path) -> dict[str, tuple[str, list[str]]]:
    try:
        return json.loads(_memory(package).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _remember(package: Path) -> None:
    if package in _unsaved and not sys.dont_write_bytecode:
        with suppress(OSError), written_whole(_memory(package)) as file:
            file.write(json.dumps(_remembered(package)).encode())
    _unsaved.discard(package)


@cache
def _memory(package: Path) -> Path:
    method = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder, name = (package, "") if package.suffix != ".py" else (package.parent, f"{package.stem}-")
    return folder / "__pycache__" / f"{name}fingerprints-{method}.json"


def _imports(tree: ast.AST, module: str, path: Path) -> Iterator[str]:
    """What its import statements may import: of ``from a import b`` both ``a`` and ``a.b``, as b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = module.split(".")[: None if path.name == "__init__.py" else -1]
                base = ".".join([*up[: len(up) - node.level + 1], *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def _path(module: str, among: Packages) -> Path | None:
    head, *rest = module.split(".")
    package = dict(among).get(head)
    if package is None or package.suffix == ".py":
        return package if not rest else None
    path = package.joinpath(*rest)
    candidates = (path / "__init__.py", path.with_suffix(".py")) if rest else (path / "__init__.py",)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


_DOCUMENTED = frozenset({ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef})


def _write_canonical(node: Any, write: Callable[[str], Any]) -> None:
    """Writes a syntax tree as text that is the same in every version of Python: no empty fields, no docstrings."""
    if isinstance(node, list):
        write("[")
        for item in node:
            _write_canonical(item, write)
        write("]")
    elif isinstance(node, ast.AST):
        kind = type(node)
        write(f"{kind.__name__}(")
        fields = node.__dict__
        for name in kind._fields:
            value: Any = fields.get(name)
            if name == "body" and kind in _DOCUMENTED and _is_docstring(value[0] if value else None):
                value = value[1:]
            if kind is ast.JoinedStr:  # some versions keep empty texts between its parts
                value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
            if value is not None and value != [] and name != "ctx":
                write(f"{name}=")
                _write_canonical(value, write)
        write(")")
    else:
        write(f"{node!r},")


def _is_docstring(statement: ast.stmt | None) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
