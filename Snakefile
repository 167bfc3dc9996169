"""A study, from its YAML to its figures. See README.md for use, config/README.md for every key of a study."""

from nmepkg.planning import start
from nmepkg.planning.call import Call
from nmepkg.planning.shell import job_prefix

call = Call(workflow, config)
plan = start.plan(call)
shell.prefix(job_prefix(call.folder))


container: "nmepkg.sif"


wildcard_constraints:
    run="[^/]+",
    data="[^/]+",
    measurement="[^/]+",
    landscape="[^/]+",


include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/page.smk"


# Messages of targets are what Snakemake says of them in place of all their inputs.
rule figures:
    default_target: True
    input:
        rules.page.output,
        shown,
        lambda wildcards: plan.lost(plan.shown),
    localrule: True
    message:
        f"The figures are in {plan.figures}, all of them in {plan.figures}/index.html"


include: "workflow/rules/targets.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/together.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


onstart:
    start.before_jobs(call, plan)


onsuccess:
    start.after_success(call, plan)


onerror:
    start.after_failure(call, plan)
