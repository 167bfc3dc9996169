"""What one call changes of a study: which setups it takes, whether it only tries the study out, and where results go."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from typing import Any

# Keys of a study that a call may set too.
KEYS = ("smoke", "select", "store")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a command that reads a study; :func:`chosen` reads them."""
    parser.add_argument(
        "--smoke",
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help="the study in small, to try it out",
    )
    parser.add_argument(
        "--select",
        type=lambda text: text.split(",") if text else None,
        default=argparse.SUPPRESS,
        metavar="A,B",
        help="only these setups of it",
    )
    parser.add_argument(
        "--store", default=argparse.SUPPRESS, metavar="FOLDER", help="of all results, for the study's own"
    )


def from_config(config: dict[str, Any]) -> dict[str, Any]:
    """Takes the keys that ``snakemake --config`` sets out of what it has read.

    There true and null may still be text, and ``select=a,b`` is as good as ``select='[a, b]'``.
    """
    words = {"true": True, "false": False, "null": None}
    found = {key: config.pop(key) for key in KEYS if key in config}
    found = {key: words.get(value.lower(), value) if isinstance(value, str) else value for key, value in found.items()}
    if isinstance(found.get("select"), str):
        found["select"] = found["select"].split(",")
    return found


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    """The keys that a command's options set."""
    return {key: getattr(options, key) for key in KEYS if hasattr(options, key)}


def arguments(overrides: Mapping[str, Any]) -> str:
    """The command line that sets the same keys. For a study that they are good for."""
    words = []
    if "smoke" in overrides:
        words.append("--smoke" if overrides["smoke"] else "--no-smoke")
    if "select" in overrides:
        words.append(f"--select={','.join(overrides['select'] or ())}")
    if "store" in overrides:
        words.append(f"--store={overrides['store']}")
    return shlex.join(words)
