rule origin:
    input:
        ancient([f"{FIGURES}/{name}.runs.csv" for name in STUDY.figures]),
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
    log:
        f"{LOGS}/origin/{STUDY.name}.log",
    localrule: True
    params:
        study=shlex.quote(str(STUDY_FILE)),
        text=STUDY_FILE.read_text(),
        overrides=arguments(OVERRIDES),
    message:
        "Collecting what the figures come from"
    shell:
        "python workflow/scripts/origin.py --study {params.study} {params.overrides} --out-study {output.study} "
        "--out-versions {output.versions} {input} >{log} 2>&1"
