"""What the scripts of jobs share: their surroundings, their work, and errors as one line. Each imports it first."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmepkg import surroundings
from nmepkg.errors import FAILED, UserError

# Before any library reads them.
if _left_out := surroundings.settle():
    print(f"computes without {', '.join(_left_out)}: a job sets itself what they are about", file=sys.stderr)
surroundings.compile_fast()


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments of a job that computes results."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--job", type=Path, required=True, help="file that names the work, which snakemake has written")
    return parser


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Ends the process with a line and code 2 where the user, or a full disk, is the cause. Bugs keep their traceback.

    The last line of the log says that the job failed: it is all that is known of it afterwards.
    """
    try:
        yield
    except UserError as error:
        _fail(f"{name}: {error}", 2)
    except OSError as error:
        remedy = "mend that and run snakemake again: nothing that is finished is lost"
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _fail(f"{name}: {what}; {remedy}", 2)
    except Exception as error:
        traceback.print_exc()
        _fail(f"{name}: {type(error).__name__}: {error}", 1)


def _fail(problem: str, code: int) -> None:
    print(FAILED + " ".join(problem.split()), file=sys.stderr)
    sys.exit(code)
