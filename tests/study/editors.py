"""What an editor would say of a study: check-jsonschema's findings, by the schema that the study names at its head."""

from __future__ import annotations

import re
from pathlib import Path

from check_jsonschema.cli import main
from click.testing import CliRunner

HEAD = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


def findings(*studies: Path) -> str:
    """Nothing, where all that name the same schema are what it says."""
    schemas = {(path.parent / found[1]).resolve() for path in studies if (found := HEAD.match(path.read_text("utf-8")))}
    (schema,) = schemas
    done = CliRunner().invoke(main, ["--verbose", "--schemafile", str(schema), *map(str, studies)])
    return done.output if done.exit_code else ""
