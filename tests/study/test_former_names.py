"""Names that scripts import go on to work for a while after a module has moved, and say where it is."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

MOVED = {
    "nmepkg.study.expand": ("nmepkg.runs.expand", "expand"),
    "nmepkg.study.registration": ("nmepkg.upkeep.registration", "register"),
}


@pytest.mark.parametrize("name", MOVED)
def test_a_former_name_is_the_same_code(name: str) -> None:
    now, attribute = MOVED[name]
    sys.modules.pop(name, None)
    with pytest.warns(DeprecationWarning, match=f"{name} is {now} now"):
        former = import_module(name)
    assert getattr(former, attribute) is getattr(import_module(now), attribute)
