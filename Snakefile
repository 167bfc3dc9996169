"""A study, from its YAML to its figures. See README.md for use, config/README.md for every key of a study."""

import gc
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from nmepkg.errors import UserError
from nmepkg.registry import DATASETS
from nmepkg.storage import Store, figure_record
from nmepkg.files import present
from nmepkg.study.environment import (
    check_folder,
    check_name,
    check_start,
    check_store,
    check_versions,
    check_writable,
    one_line,
    working_alone,
)
from nmepkg.study.expand import expand, figure_digest
from nmepkg.study.identity import to_json
from nmepkg.study.lists import read_lists
from nmepkg.study.load import load
from nmepkg.study.overrides import arguments, from_config
from nmepkg.study.origin import origin_identity
from nmepkg.study.packs import packs, read_plan, write_plan
from nmepkg.study.registration import register
from nmepkg.study.site import refuse_too_few_tries, refuse_too_long
from nmepkg.study.shell import check_jax_starts, check_shell
from nmepkg.study.sources import missing, source_of, wanted
from nmepkg.surroundings import shell_prefix
from nmepkg.upkeep.progress import Progress, what_failed
from nmepkg.upkeep.status import device_hours, status
from nmepkg.upkeep.survey import damage, next_memory

# Snakemake makes a great many objects for a great many jobs, and Python would look again and again for garbage among them.
gc.set_threshold(100_000, 50, 50)

# The study is read by nmepkg alone: `configfile:` would merge the default study into the one asked for. A profile may name
# one by `configfile`, and the command line another by either way.
OPTIONS = dict(workflow.config_settings.config)
FILES = [OPTIONS.pop("study")] if "study" in OPTIONS else list(workflow.config_settings.configfiles)
OVERRIDES = from_config(OPTIONS)
DRY = workflow.output_settings.dryrun
try:
    if len(FILES) > 1 or OPTIONS or not all(isinstance(file, str | Path) for file in FILES):
        raise UserError(
            "a workflow has one study (--config study=FILE, or --configfile FILE), and besides no options but smoke=true, "
            "select='[a, b]' and store=FOLDER"
        )
    # The default one is this workflow's own, wherever that is called; another is where the caller says.
    own = Path(workflow.basedir, "config", "config.yaml")
    STUDY_FILE = Path(FILES[0]) if FILES else own
    if STUDY_FILE.is_relative_to(Path.cwd()):
        STUDY_FILE = STUDY_FILE.relative_to(Path.cwd())
    check_versions()
    if workflow.is_main_process:
        check_shell()
    STUDY = load(STUDY_FILE, OVERRIDES)
    STORE, LOGS, FIGURES = Store(Path(STUDY.store)), f"{STUDY.output}/logs", f"{STUDY.output}/figures/{STUDY.name}"
    STUDY_ARGUMENT = shlex.quote(str(STUDY_FILE))
    LOCK = Path(f".snakemake/{STUDY.name}.lock")
    # What is certain already is said before Snakemake writes a line; what depends on the jobs, in onstart.
    if workflow.is_main_process:
        check_folder(f"{STUDY_FILE}: output", Path(STUDY.output))
        check_start(LOCK, dry=DRY)
    EXPANSION = expand(STUDY)
    if workflow.is_main_process:
        check_name(STUDY)
        check_store(STUDY, EXPANSION)
        # Never used, and never replaced unseen: to Snakemake they are there.
        damaged = damage(STORE, EXPANSION)
        if damaged and not DRY:
            raise UserError(*damaged)
        for line in damaged:
            print(line, file=sys.stderr)
    LANDSCAPES = {job.id: job for panels in EXPANSION.landscapes.values() for _, job in panels}
    results = [*map(STORE.result, EXPANSION.runs), *map(STORE.landscape, LANDSCAPES)]
    # With no result yet, every target has jobs, and each writes a log.
    fresh = not any(map(present, results))
    if workflow.is_main_process and not DRY and fresh:
        check_writable(f"{STUDY_FILE}: store", results)
        check_writable(f"{STUDY_FILE}: output", [Path(LOGS, "train", f"{run}.log") for run in EXPANSION.runs])
    # Plans and marks of runs that are trained together, or again, live as long as one call of Snakemake.
    PACKED = Path(".snakemake/packs", f"{STUDY.name}-n" if DRY else STUDY.name)
    PACKS, AGAIN = {}, set()
    if workflow.is_main_process:
        shutil.rmtree(PACKED, ignore_errors=True)
        unfinished = {id for id, run in EXPANSION.runs.items() if not STORE.finished(id, run.spec)}
        PACKS = packs(STUDY, EXPANSION, lambda run: run not in unfinished)
        AGAIN = {run for run in unfinished if present(STORE.result(run))}
    PACK_OF = {run.id: pack for pack in PACKS.values() for run in pack.runs}
    SETUP_OF = EXPANSION.setup_of()
    ORIGIN = figure_record(Path(FIGURES), "origin", origin_identity(STUDY, EXPANSION)["digest"])
    CHECKPOINTS = " ".join(f"--checkpoint-{unit} {n}" for unit, n in STUDY.checkpoints.items() if n is not None)
    # What is asked for is not known yet; where no target can do without, it does not matter. Else onstart knows what is needed.
    if workflow.is_main_process:
        lacking = list(missing(STUDY, EXPANSION, STORE, wanted(EXPANSION, STORE)))
        needed = {job.spec["name"] for job in EXPANSION.datasets.values()}
        if len(lacking) == len(needed) and fresh and not LANDSCAPES and not DRY:
            raise UserError(*lacking)
        for line in lacking if DRY else ():
            print(line, file=sys.stderr)
        for line in read_lists(STUDY, doubtful=not DRY):
            print(line, file=sys.stderr)
except (UserError, OSError, UnicodeEncodeError) as error:
    print(one_line(error), file=sys.stderr)
    sys.exit(2)

# Jobs find the Python that runs Snakemake, activated or not. In the container, whose recipe is in containers/, its own serves,
# though that folder may be there too.
PREFIX = (
    f"export NMEPKG_SCRIPTS={shlex.quote(str(Path(workflow.basedir, 'workflow', 'scripts')))}; "
    + '[ -n "${APPTAINER_CONTAINER:-}${SINGULARITY_CONTAINER:-}" ] || '
    + f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; {shell_prefix(Path(workflow.basedir))}"
)
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))


container: "nmepkg.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/guards.smk"
include: "workflow/rules/figures.smk"


wildcard_constraints:
    run="[^/]+",
    data="[^/]+",
    measurement="[^/]+",
    landscape="[^/]+",


localrules:
    figures,
    measurements,
    report,
    all,


# Before the first job: a dry run, or one with nothing to do, asks for nothing and leaves nothing.
onstart:
    try:
        ALONE = working_alone(LOCK)
        ALONE.__enter__()  # until this process ends
        lacking = list(missing(STUDY, EXPANSION, STORE, needed_data(workflow.dag.needrun_jobs())))
        if lacking:
            raise UserError(*lacking)
        outputs = [Path(file) for job in workflow.dag.needrun_jobs() for file in [*job.output, *job.log]]
        check_writable(f"{STUDY_FILE}: store", [path for path in outputs if path.is_relative_to(STORE.root)])
        check_writable(f"{STUDY_FILE}: output", [path for path in outputs if not path.is_relative_to(STORE.root)])
        check_cluster(workflow.dag.needrun_jobs())
        if any(
            job.rule.name in ("train", "train_again", "train_together", "measure", "landscape")
            for job in workflow.dag.needrun_jobs()
        ):
            check_jax_starts(here=workflow.executor_plugin.name == "local")
        write_plans(workflow.dag.needrun_jobs())
        Progress(STUDY, EXPANSION, STORE, logger.info).start()
    except (UserError, OSError) as error:
        print(one_line(error), file=sys.stderr)
        sys.exit(2)
    try:
        register(STUDY, EXPANSION)
    except OSError as error:
        print(
            f"{STUDY_FILE}: the store does not know that it is used here, nor will who tidies up there ({error})",
            file=sys.stderr,
        )


# Of runs that were trained together, each has a rule that says whether it was; `--until` may leave that out.
onsuccess:
    lost = [run for pack in UNASKED for run in pack_of(pack).runs if not STORE.finished(run.id, run.spec)]
    if lost:
        print(
            f"{len(lost)} runs failed, the first is {lost[0].id}: see {LOGS}/train/{lost[0].id}.log",
            file=sys.stderr,
        )
        sys.exit(1)


onerror:
    for line in what_failed(status(STUDY, EXPANSION, STORE)):
        print(line, file=sys.stderr)


# Messages of targets are what Snakemake says of them in place of all their inputs.
rule figures:
    default_target: True
    input:
        distinct(getattr(rules, name).input for name in STUDY.figures),
    message:
        f"The figures are in {FIGURES}"


rule measurements:
    input:
        [STORE.measurement(job.run, id) for id, job in EXPANSION.measurements.items()],
    message:
        f"The measurements are in {STORE.root}/measurements"


rule report:
    input:
        rules.figures.input,
        [f"{FIGURES}/study.yaml", f"{FIGURES}/versions.csv", ORIGIN],
    message:
        f"The figures, and where they come from, are in {FIGURES}; one file of HTML: make report"


rule all:
    input:
        distinct([rules.report.input, rules.measurements.input, map(result, EXPANSION.runs)]),
    message:
        f"The figures are in {FIGURES}, all results in {STORE.root}"


report: "workflow/report/workflow.rst"


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/report.smk"
