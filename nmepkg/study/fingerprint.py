"""The hash of the code that a run stands for: exact about what changes a result, blind to what does not.

It covers the static import closure of some modules inside the package, each as its syntax tree without comments,
docstrings and positions. So an edit of a comment, a reformatted line or a fresh checkout changes nothing, and an edit of one
model's module changes the runs of that model alone.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]

# Names without numbers behind them: an entry of the registry counts where a run uses it, an error's text never does.
EXCLUDED = frozenset({"registry", "errors"})


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
    return hashed.hexdigest()[:16]


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


@cache
def _module(module: str, package: Path) -> tuple[str, frozenset[str]]:
    """(hash, imported modules of the package) of one module."""
    path = _path(module, package)
    assert path is not None, module
    tree = ast.parse(path.read_bytes(), str(path))
    imports = frozenset(_imports(tree, module, path, package))
    digest = hashlib.sha256(repr(_canonical(tree)).encode()).hexdigest()
    return digest, imports


def _imports(tree: ast.AST, module: str, path: Path, package: Path) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = module.split(".")[: None if path.name == "__init__.py" else -1]
                base = ".".join([*up[: len(up) - node.level + 1], *([base] if base else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]  # a name may be a submodule
        else:
            continue
        yield from (name for name in names if _path(name, package) is not None)


@cache
def _path(module: str, package: Path) -> Path | None:
    head, *rest = module.split(".")
    if head != package.name:
        return None
    path = package.joinpath(*rest)
    candidates = (path / "__init__.py", path.with_suffix(".py")) if rest else (path / "__init__.py",)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _canonical(node: Any) -> Any:
    """A syntax tree as nested tuples, the same in every version of Python: empty fields left out, no docstrings."""
    if isinstance(node, list):
        return [_canonical(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = []
    for name in node._fields:
        value: Any = getattr(node, name, None)
        if name == "body" and isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            value = value[1:]
        if isinstance(node, ast.JoinedStr) and name == "values":  # some versions keep empty texts between its parts
            value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
        if value is not None and value != [] and name != "ctx":
            fields.append((name, _canonical(value)))
    return type(node).__name__, fields
