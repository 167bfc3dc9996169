"""The hash of the code that a run stands for: exact about what changes a result, blind to what does not.

It covers the static import closure of some modules inside the package, each as its syntax tree without comments,
docstrings and positions. So an edit of a comment, a reformatted line or a fresh checkout changes nothing, and an edit of one
model's module changes the runs of that model alone.
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

from nmepkg.files import written_whole

PACKAGE = Path(__file__).resolve().parents[1]

# Names without numbers behind them: an entry of the registry counts where a run uses it, an error's text never does.
EXCLUDED = frozenset(
    {"registry", "measurement_kinds", "fragments", "entries", "errors", "files", "gpus", "records", "surroundings"}
)


def fingerprint(modules: Iterable[str], package: Path = PACKAGE) -> str:
    """Sixteen hex digits over the import closure of ``modules`` (dotted names) inside ``package`` (its folder).

    Raises:
      ModuleNotFoundError: a module is not part of the package.
    """
    return _fingerprint(tuple(sorted(set(modules))), package)


@cache
def _fingerprint(modules: tuple[str, ...], package: Path) -> str:
    hashed = hashlib.sha256()
    for module in sorted(closure(modules, package)):
        hashed.update(f"{module} {_module(module, package)[0]}\n".encode())
    _remember(package)
    return hashed.hexdigest()[:16]


def module_hashes(modules: Iterable[str], package: Path = PACKAGE) -> dict[str, str]:
    """Module -> sixteen hex digits of its code, for all of the import closure."""
    return {module: _module(module, package)[0][:16] for module in sorted(closure(modules, package))}


def closure(modules: Iterable[str], package: Path = PACKAGE) -> set[str]:
    """The modules of ``package`` that importing ``modules`` imports, by their import statements, parents included."""
    found: set[str] = set()
    waiting = list(modules)
    for module in waiting:
        if _path(module, package) is None:
            raise ModuleNotFoundError(f"{module} is no module of {package}")
    while waiting:
        module = waiting.pop()
        parts = module.split(".")
        for ancestor in (".".join(parts[: i + 1]) for i in range(len(parts))):
            if ancestor not in found and ancestor not in {f"{package.name}.{name}" for name in EXCLUDED}:
                found.add(ancestor)
                waiting.extend(_module(ancestor, package)[1])
    return found


def is_as_hashed(module: str, source: bytes, package: Path = PACKAGE) -> bool:
    """Whether a module's source is, to the byte, the one that its hash was taken of."""
    return _module(module, package)[2] == hashlib.sha256(source).hexdigest()


def source_path(module: str, package: Path = PACKAGE) -> Path:
    """The file of a module of the package."""
    path = _path(module, package)
    assert path is not None, module
    return path


@cache
def _module(module: str, package: Path) -> tuple[str, frozenset[str], str]:
    """(hash, imported modules of the package, hash of the source) of one module."""
    path = source_path(module, package)
    source = path.read_bytes()
    known, key = _remembered(package), hashlib.sha256(f"{module} {path.name}\n".encode() + source).hexdigest()
    if key not in known:
        tree = ast.parse(source, str(path))
        parts: list[str] = []
        _write_canonical(tree, parts.append)
        digest = hashlib.sha256("".join(parts).encode()).hexdigest()
        known[key] = (digest, sorted(set(_imports(tree, module, path))))
        _unsaved.add(package)
    digest, imports = known[key]
    found = frozenset(name for name in imports if _path(name, package) is not None)
    return digest, found, hashlib.sha256(source).hexdigest()


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
    return package / "__pycache__" / f"fingerprints-{method}.json"


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
def _path(module: str, package: Path) -> Path | None:
    head, *rest = module.split(".")
    if head != package.name:
        return None
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
