"""The site has every page and every public name, and its picture of the packages is true. Sphinx is not needed for that."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from nmepkg import activations, curvature, losses, measurement_kinds, methods, registry

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in ROOT.glob("docs/reference/*.md"))


def documented() -> set[str]:
    """The full names that the reference shows, ``module.name``."""
    module, names = "", set()
    for directive, name in re.findall(r"^\.\. (\w+):: (\S+)$", REFERENCE, flags=re.MULTILINE):
        if directive == "currentmodule":
            module = name
        elif directive in ("autofunction", "autoclass", "autodata"):
            names.add(f"{module}.{name}")
    return names


def public() -> set[str]:
    """What packages export, and the code of what a study may name."""
    names = {f"{package.__name__}.{name}" for package in (activations, curvature, methods) for name in package.__all__}
    names |= {
        f"nmepkg.losses.{name}"
        for name, value in vars(losses).items()
        if getattr(value, "__module__", "") == "nmepkg.losses" and name[0] != "_"
    }
    entries = [*measurement_kinds.MEASUREMENTS.values(), *registry.OPTIMIZERS.values()]
    return names | {entry.target.replace(":", ".") for entry in entries}


def test_every_public_name_is_in_the_reference() -> None:
    assert not public() - documented(), "give these a place in docs/reference/"


def test_the_sidebar_has_every_page() -> None:
    listed = [
        re.sub(r".*<(.*)>", r"\1", page)
        for pages in runpy.run_path(str(ROOT / "docs/conf.py"))["CONTENTS"].values()
        for page in pages
    ]
    pages = {
        path for kind in ("*.md", "config/**/*.md", "docs/**/*.md", "examples/*.ipynb") for path in ROOT.glob(kind)
    }
    inner = {f"docs/reference/{name}" for name in re.findall(r"^\w+$", REFERENCE, flags=re.MULTILINE)}
    assert len(listed) == len(set(listed))
    assert {*listed, *inner} >= {
        page.relative_to(ROOT).with_suffix("").as_posix() for page in pages - {ROOT / "README.md"}
    }


@pytest.fixture(scope="module")
def picture() -> dict[str, object]:
    return runpy.run_path(str(ROOT / "docs/picture.py"))


def test_the_picture_shows_the_floors_and_imports_that_there_are(picture: dict[str, object]) -> None:
    assert picture["picture"]() == (ROOT / "docs/images/built.svg").read_text(encoding="utf-8"), (
        "python docs/picture.py"
    )  # type: ignore[operator]


def test_the_page_says_what_each_package_is_for(picture: dict[str, object]) -> None:
    text = (ROOT / "docs/how-it-is-built.md").read_text(encoding="utf-8")
    table = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)))
    assert sorted(table) == sorted(name for floor in picture["floors"]() for name in floor)  # type: ignore[operator]
