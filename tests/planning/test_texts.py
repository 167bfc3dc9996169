"""Texts of the user's, where Snakemake or reStructuredText would read more into them."""

from __future__ import annotations

import argparse
import shlex

import docutils.core
import pytest
from snakemake.io import contains_wildcard

from nmepkg.planning.texts import escaped, in_command, label, verbatim

TEXTS = ("*A* `b`_ |c| {d} [e]_", "x_ and **y**", ".. note:: no", "a\\b", "φ'' := 0, $\\rho$, 100 %")


@pytest.mark.parametrize("text", TEXTS)
def test_a_caption_is_the_text_itself(text: str) -> None:
    parts = docutils.core.publish_parts(escaped(text), writer="html5", settings_overrides={"report_level": 1})
    assert "system-message" not in parts["body"]
    tree = docutils.core.publish_doctree(escaped(text))
    assert tree.astext() == text


def test_a_caption_of_several_lines_is_one_paragraph() -> None:
    assert docutils.core.publish_doctree(escaped("one\n   two\nthree")).astext() == "one\ntwo\nthree"


def test_a_label_has_no_wildcard_and_ends_no_script() -> None:
    text = "01. {run} </script>"
    assert not contains_wildcard(label(text))
    assert "</" not in label(text)
    assert label(text).replace("\N{WORD JOINER}", "") == text


def test_a_parameter_is_the_text_whatever_the_wildcards() -> None:
    assert verbatim("{run}")(object()) == "{run}"


def test_a_path_in_a_command_is_the_path_whatever_is_in_it() -> None:
    command = in_command(lambda run: f"a {{store}}/it's {{wildcards.run}}/{run}.log", "run")
    formatted = command.format(wildcards=argparse.Namespace(run="mlp-s0"))
    assert shlex.split(formatted) == ["a {store}/it's {wildcards.run}/mlp-s0.log"]
