"""One call of Snakemake: all that is asked of its inner objects, which have no other interface, is asked here."""

from __future__ import annotations

import logging
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from nmepkg.errors import UserError
from nmepkg.files import present
from nmepkg.planning.environment import one_line
from nmepkg.planning.terminal import OURS, Terminal

# Rules by which results and marks are made; those that draw figures are called ``draw_<figure>``.
_RULES = (
    "data",
    "train",
    "train_again",
    "train_together",
    "trained",
    "measure",
    "measure_together",
    "measured",
    "landscape",
    "judge",
    "page",
    "origin",
)


@dataclass(frozen=True)
class Needed:
    """A job that this call of Snakemake is going to run, or would.

    Attributes:
      rule: as the rules here call it, whatever a workflow that uses them as a module does.
      minutes: that it asks a cluster for; None where it runs here.
      files: that it writes, its log among them.
    """

    rule: str
    wildcards: Mapping[str, str]
    minutes: int | None
    files: tuple[Path, ...]


class Call:
    """A call, while its Snakefile is read and after.

    Args:
      workflow: Snakemake's own object of that name.
      config: of the Snakefile; that of the command line, or what a workflow gives that uses this one as a module.

    Attributes:
      folder: of this Snakefile.
      options: of ``--config``, or of the module's ``config``.
      files: studies named by ``--configfile``.
      is_module: whether another Snakefile has the word, and this one's rules are among its own.
      is_main: whether this process plans; if not, it is that of a job, which Snakemake has called once more.
      is_dry: whether nothing will be run.
      terminal: what a person reads, where Snakemake does not write all that it has to say.
      interrupted: whether it was stopped by Ctrl-C.
    """

    def __init__(self, workflow: Any, config: Mapping[str, Any]) -> None:
        self._workflow = workflow
        self._modifier = workflow.modifier
        self._rules: dict[str, str | None] = {}
        self.terminal: Terminal | None = None
        self.interrupted = False
        self.folder = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
        self.is_module = workflow.modifier.base_snakefile is not None
        settings = workflow.config_settings
        self.options = dict(config if self.is_module else settings.config)
        self.files: list[Any] = [] if self.is_module else list(settings.configfiles)
        self.is_main: bool = workflow.is_main_process
        self.is_dry: bool = workflow.output_settings.dryrun

    @property
    def tries(self) -> int:
        """How many jobs, one after another, Snakemake gives what fails."""
        return 1 + int(self._workflow.execution_settings.retries)

    @property
    def executor(self) -> str:
        """What runs jobs: ``local``, ``slurm`` and others."""
        return str(self._workflow.executor_plugin.name)

    def needed(self) -> list[Needed]:
        """The jobs of these rules that are going to be run. Known once Snakemake has looked at all files."""
        found = []
        for job in self._workflow.dag.needrun_jobs():
            if rule := self._rule(job.rule.name):
                submitted = self.executor == "slurm" and not (job.is_local or job.is_norun)
                minutes = job.resources.get("runtime") if submitted else None
                files = tuple(Path(file) for file in [*job.output, *job.log])
                found.append(Needed(rule, dict(job.wildcards.items()), minutes, files))
        return found

    def _rule(self, name: str) -> str | None:
        """How the rules here call one, those that draw figures ``draw``; None for a target, or another Snakefile's."""
        if name not in self._rules:
            renamed = {self._modifier.modify_rulename(rule): rule for rule in _RULES}
            before, _, after = self._modifier.modify_rulename("draw_\0").partition("\0")
            draws = name.startswith(before) and name.endswith(after)
            self._rules[name] = renamed.get(name, "draw" if draws else None)
        return self._rules[name]

    def be_brief(self, target: Callable[[str, Sequence[str], Sequence[str]], str | None]) -> None:
        """Has the terminal say what a person needs; all that Snakemake says is in its log file, or here with ``-p``.

        Args:
          target: as :class:`nmepkg.planning.terminal.Terminal` has it.
        """
        from snakemake.logging import logger

        shown = self._workflow.output_settings
        chosen = {about.name for about in shown.quiet or ()} - {"HOST", "REASON"}
        if self.is_module or self.is_dry or shown.verbose or shown.printshellcmds or chosen:
            return
        for handler in list(logger.handlers):
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
                self.terminal = Terminal(handler.stream, not shown.nocolor, self._rule, target, self.command)
                logger.addHandler(self.terminal)

    def note_interruption(self) -> None:
        """Has :attr:`interrupted` say whether this call was stopped by Ctrl-C: jobs that end then have not failed."""
        before = signal.getsignal(signal.SIGINT)

        def interrupted(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            if self.terminal is not None:
                self.terminal.interrupted = True
            if callable(before):
                before(number, frame)

        if callable(before):  # of nohup, nothing is interrupted
            signal.signal(signal.SIGINT, interrupted)

    def command(self, target: str) -> str:
        """The words of this call, with another target in place of its own."""
        program, *words = sys.argv
        words = [word for word in words if word not in self._workflow.dag_settings.targets]
        return shlex.join(["snakemake" if program.endswith("__main__.py") else program, target, *words])

    def say(self, line: str) -> None:
        """A line among Snakemake's own."""
        from snakemake.logging import logger

        logger.info(line, extra={OURS: True})

    def tell_failure(self, name: str, why: str, log: str, target: str | None) -> None:
        """Says that a job failed, unless that was said, or Snakemake says it at length."""
        if self.terminal is not None and (lines := self.terminal.failure(name, why, [log], target)):
            self.say("\n".join(lines))

    @property
    def results(self) -> list[str]:
        """What the targets of this call say of themselves, those that were not said yet."""
        return self.terminal.results if self.terminal is not None else []

    def warn(self, line: str) -> None:
        """A line that is to be seen however quiet Snakemake is."""
        if self.terminal is not None:
            self.say(line)
        else:
            print(line, file=sys.stderr)

    def refuse(self, problem: str) -> NoReturn:
        """Ends Snakemake with a line."""
        print(problem, file=sys.stderr)
        sys.exit(2)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Ends Snakemake with a line where the user, or what is there, is the cause."""
        try:
            yield
        except (UserError, OSError, UnicodeEncodeError) as error:
            self.refuse(one_line(error))

    def attach(self, **handlers: Callable[[], None]) -> None:
        """Has handlers called, ``start``, ``success`` and ``error``, where Snakemake would not.

        It has those of the main Snakefile alone, and a module's are left to its user. These come first, then the user's.
        """
        if not self.is_module:
            return
        workflow, build, waiting = self._workflow, self._workflow._build_dag, dict(handlers)

        def build_dag() -> None:
            while waiting:  # now that all is read; once
                event, handler = waiting.popitem()
                setattr(workflow, f"_on{event}", _both(handler, getattr(workflow, f"_on{event}")))
            build()

        workflow._build_dag = build_dag

    def guard(self, store: Path, figures: Path, study: Path, targets: Sequence[str]) -> None:
        """Says no to what Snakemake can do besides running jobs, where that takes others' results or tells what is past.

        Of these calls a workflow is told nothing, so that their methods are replaced.

        Args:
          targets: names of all targets there are.
        """
        workflow = self._workflow
        delete, create, build = workflow.delete_output, workflow.create_report, workflow._build_dag

        def delete_output(only_temp: bool = False, dryrun: bool = False) -> None:
            if not only_temp:
                self.refuse(
                    f"--delete-all-output: others may use what is in {store}; delete what no study uses by "
                    f"'python -m nmepkg gc --yes', and figures by removing {figures}"
                )
            delete(only_temp=only_temp, dryrun=dryrun)

        def create_report(*arguments: Any, **options: Any) -> None:
            """Titles and captions of a report are those of now: what they are put round has to be so too."""
            before = workflow._build_dag

            def build_and_check() -> None:
                before()
                shown = [
                    job for job in workflow.dag.jobs if self._rule(job.rule.name) in ("judge", "page", "origin", "draw")
                ]
                lacking = [file for job in shown for file in job.output if not present(Path(file))]
                if lacking:
                    self.refuse(
                        f"--report: {len(lacking)} files that it would show are not there, or not of the study as it is now, "
                        f"the first is {lacking[0]}; call the same without --report first"
                    )

            workflow._build_dag = build_and_check
            create(*arguments, **options)

        def build_dag() -> None:
            """What Snakemake would look for among files and miss, in words of its own."""
            for target in workflow.dag_settings.targets:
                if re.fullmatch(r"[\w-]+", target) and not (workflow.is_rule(target) or Path(target).exists()):
                    self.refuse(
                        f"{target}: neither a figure of {study} nor another target; choose from {', '.join(targets)}"
                    )
            build()

        workflow.delete_output, workflow.create_report = delete_output, create_report
        if not self.is_module:  # whose targets are its own
            workflow._build_dag = build_dag


def _both(first: Callable[[], None], second: Callable[[Any], None]) -> Callable[[Any], None]:
    def handler(log: Any) -> None:
        first()
        second(log)

    return handler
