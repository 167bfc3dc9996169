"""A small study as text, for tests to edit."""

from __future__ import annotations

from pathlib import Path

from nmepkg.study.load import load
from nmepkg.study.spec import Study

STUDY = """\
version: 1
name: tiny
setups:
  mlp:
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
experiments:
  main:
    setups: [mlp]
    methods: [sam, psam]
    activations: [gelu, relu]
    rho: [0, 0.1]
    seeds: [0, 1]
figures:
  curve: {experiments: [main], x: rho, columns: activation, lines: method}
"""


def edited(*edits: tuple[str, str], text: str = STUDY) -> str:
    """A study, the small one, with texts replaced; each must be there exactly once."""
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def study(folder: Path, *edits: tuple[str, str]) -> Study:
    path = folder / "study.yaml"
    path.write_text(edited(*edits), encoding="utf-8")
    return load(path)
