"""How lists of numbers were read."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg.study.lists import read_lists
from tests.study.samples import study

RHO = "    rho: [0, 0.1]\n"


@pytest.mark.parametrize("written", ["[0,5]", "[0, 5]", "[0,05]"])
def test_two_whole_numbers_may_be_one_with_a_decimal_comma(tmp_path: Path, written: str) -> None:
    read = study(tmp_path, (RHO, f"    rho: {written}\n"))
    (line,) = read_lists(read, doubtful=True)
    assert line == (
        f"{tmp_path / 'study.yaml'}: rho is 0, 5 in main: two values; if one was meant, with a decimal comma, write 0.5"
    )


def test_a_thousand_is_no_fraction(tmp_path: Path) -> None:
    assert read_lists(study(tmp_path, (RHO, "    rho: [1, 1000]\n")), doubtful=True) == []


def test_every_list_is_told_once(tmp_path: Path) -> None:
    other = "  other: {setups: [mlp], methods: [sam], activations: [gelu], rho: [0, 0.1], seeds: [0]}\nfigures:\n"
    read = study(tmp_path, ("figures:\n", other))
    assert read_lists(read) == [f"{tmp_path / 'study.yaml'}: rho is 0, 0.1 in main, other"]
    assert read_lists(read, doubtful=True) == []


def test_options_of_a_method_have_decimal_commas_too(tmp_path: Path) -> None:
    methods = "[{name: gradient_penalty, p: [1,5]}, {name: psam, m: [8,16]}]"
    read = study(tmp_path, ("[sam, psam]", methods))
    (line,) = read_lists(read, doubtful=True)
    assert "p is 1, 5 in main: two values" in line
    assert line.endswith("write 1.5")
