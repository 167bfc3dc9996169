"""A study, from its YAML to its figures. See README.md for use, config/README.md for every key of a study."""

import shlex
import sys
from pathlib import Path

from nmepkg.errors import UserError
from nmepkg.study.expand import expand, figure_digest
from nmepkg.study.identity import to_json
from nmepkg.study.load import load

# The study is read by nmepkg alone: `configfile:` would merge the default study into the one asked for.
OPTIONS = dict(workflow.config_settings.config)
FILES = [*workflow.config_settings.configfiles, *([OPTIONS.pop("study")] if "study" in OPTIONS else [])]
try:
    if len(FILES) > 1 or OPTIONS:
        raise UserError("a workflow has one study and no other options: --config study=FILE, or --configfile FILE")
    STUDY_FILE = Path(FILES[0] if FILES else "config/config.yaml")
    if STUDY_FILE.is_relative_to(Path.cwd()):
        STUDY_FILE = STUDY_FILE.relative_to(Path.cwd())
    STUDY = load(STUDY_FILE)
except UserError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
EXPANSION = expand(STUDY)
STORE = STUDY.store
FIGURES = f"{STORE}/figures/{STUDY.name}"
LANDSCAPES = {job.id: job for panels in EXPANSION.landscapes.values() for _, job in panels}

# Jobs find the Python that runs Snakemake, activated or not. In the container, whose recipe is in containers/, that folder
# does not exist and its own Python serves.
shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


container: "nmepkg.sif"


wildcard_constraints:
    run="[^/]+",
    data="[^/]+",
    measurement="[^/]+",
    landscape="[^/]+",
    figure="|".join(STUDY.figures) or "none",


localrules:
    figures,
    measurements,
    report,
    all,


rule figures:
    default_target: True
    input:
        [f"{FIGURES}/{name}.pdf" for name in STUDY.figures],


rule measurements:
    input:
        [f"{STORE}/measurements/{job.run}/{id}.json" for id, job in EXPANSION.measurements.items()],


rule report:
    input:
        rules.figures.input,
        f"{FIGURES}/study.yaml",
        f"{FIGURES}/versions.csv",


rule all:
    input:
        rules.report.input,
        rules.measurements.input,
        [f"{STORE}/runs/{run}/result.json" for run in EXPANSION.runs],


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
