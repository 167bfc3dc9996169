"""The templates of a study's page, filled in."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def write(name: str, /, **values: Any) -> Markup:
    """A template of this package with its values: text among them is escaped, markup is not."""
    environment = Environment(
        loader=PackageLoader("nmepkg", "analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
    return Markup(environment.get_template(name).render(values))


def text(name: str) -> str:
    """A file of this package."""
    return files("nmepkg.analysis").joinpath(name).read_text(encoding="utf-8")
