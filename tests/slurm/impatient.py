"""Snakemake, whose executor for Slurm asks for its jobs every other second: left alone it waits 10 s longer every time that
none of them has succeeded, up to 180 s, and a test would do nothing but wait."""

from __future__ import annotations

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda self: 2, lambda self, seconds: None)

if __name__ == "__main__":
    main()
