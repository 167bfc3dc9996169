from nmepkg.planning.texts import verbatim


rule origin:
    input:
        runs=ancient([f"{plan.figures}/{name}.runs.csv" for name in plan.study.figures]),
        figures=ancient([rules.page.output, shown]),
        # Where a figure that is there will be drawn again, this is collected too.
        lost=lambda wildcards: ancient(plan.lost(plan.shown)),
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
