"""Every function that is public has an example in its docstring, and shows what the example says."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

from nmepkg import activations, curvature, losses, methods, optimizers


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """A module, and those in it where it is a package."""
    yield package
    for found in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        yield importlib.import_module(found.name)


def examples(module: ModuleType) -> Iterator[doctest.DocTest]:
    """Those of what a module defines, each with no names but those that it imports itself."""
    finder = doctest.DocTestFinder()
    for name, value in vars(module).items():
        if (inspect.isroutine(value) or inspect.isclass(value)) and value.__module__ == module.__name__:
            # What jaxtyping checks is wrapped, and doctest would look for the source of that.
            found = finder.find(inspect.unwrap(value), f"{module.__name__}.{name}", module=False, globs={})
            yield from (test for test in found if test.examples)


def public(module: ModuleType) -> Iterator[str]:
    """The full names of a module's functions, or of those that a package's ``__init__.pyi`` lists."""
    for name in getattr(module, "__all__", vars(module)):
        value = getattr(module, name)
        if inspect.isfunction(value) and value.__module__.startswith(module.__name__) and not name.startswith("_"):
            yield f"{value.__module__}.{name}"


LIBRARY = (activations, curvature, losses, methods, optimizers)
EXAMPLES = {test.name: test for package in LIBRARY for module in modules(package) for test in examples(module)}
PUBLIC = sorted(name for package in LIBRARY for name in public(package))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_has_an_example(name: str) -> None:
    assert name in EXAMPLES, "its docstring needs an Example: of a few lines"


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_an_example_says_is_so(name: str) -> None:
    report: list[str] = []
    found = doctest.DocTestRunner().run(EXAMPLES[name], out=report.append)
    assert found.attempted > 0
    assert not found.failed, "".join(report)
