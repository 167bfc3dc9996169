from nmepkg.planning.plan import distinct
from nmepkg.planning.texts import verbatim


rule origin:
    input:
        runs=ancient([f"{plan.figures}/{name}.runs.csv" for name in plan.study.figures]),
        # With all that a figure is drawn from: where one is drawn, this is collected.
        figures=ancient(distinct([rules.figures.input])),
    output:
        study=report(
            f"{plan.figures}/study.yaml",
            caption="../report/study.rst",
            category="Origin",
            labels={"file": "Study (YAML)"},
        ),
        versions=report(
            f"{plan.figures}/versions.csv",
            caption="../report/versions.rst",
            category="Origin",
            labels={"file": "Software and devices (table)"},
        ),
        # As a figure's record.
        record=plan.origin,
    log:
        f"{plan.logs}/origin/{plan.study.name}.log",
    localrule: True
    params:
        study=verbatim(plan.study_arguments),
        folder=subpath(output.study, parent=True),
        digest=subpath(output.record, basename=True, strip_suffix=".json"),
    message:
        "Collecting what the figures come from"
    shell:
        'python "$NMEPKG_SCRIPTS"/origin.py {params.study} --out {params.folder} --digest {params.digest} {input.runs} >{log} 2>&1'
