rule origin:
    input:
        runs=ancient([f"{FIGURES}/{name}.runs.csv" for name in STUDY.figures]),
        # With all that a figure is drawn from: where one is drawn, this is collected.
        figures=ancient(distinct([rules.figures.input])),
    output:
        study=report(
            f"{FIGURES}/study.yaml",
            caption="../report/study.rst",
            category="Origin",
            labels={"file": "Study (YAML)"},
        ),
        versions=report(
            f"{FIGURES}/versions.csv",
            caption="../report/versions.rst",
            category="Origin",
            labels={"file": "Software and devices (table)"},
        ),
        # As a figure's record.
        record=ORIGIN,
    log:
        f"{LOGS}/origin/{STUDY.name}.log",
    localrule: True
    params:
        study=verbatim(STUDY_ARGUMENT),
        overrides=arguments(OVERRIDES),
        folder=subpath(output.study, parent=True),
        digest=ORIGIN.stem,
    message:
        "Collecting what the figures come from"
    shell:
        'python "$NMEPKG_SCRIPTS"/origin.py --study {params.study} {params.overrides} --out {params.folder} '
        "--digest {params.digest} {input.runs} >{log} 2>&1"
