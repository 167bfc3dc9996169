rule figure:
    input:
        lambda wildcards: [
            f"{STORE}/runs/{run}/result.json" for run in EXPANSION.runs_of(STUDY.figures[wildcards.figure])
        ],
    output:
        multiext(f"{STORE}/figures/{STUDY.name}/{{figure}}", ".pdf", ".svg", ".png", ".csv", ".runs.csv"),
    log:
        f"{STORE}/logs/figure/{STUDY.name}/{{figure}}.log",
    params:
        study=shlex.quote(str(STUDY_FILE)),
        stem=f"{STORE}/figures/{STUDY.name}/{{figure}}",
        # Changes with what the figure shows and with the code that draws it, so that either draws it again.
        digest=lambda wildcards: figure_digest(STUDY, EXPANSION, STUDY.figures[wildcards.figure]),
    message:
        "Drawing {wildcards.figure}"
    shell:
        "python workflow/scripts/figure.py --study {params.study} --figure {wildcards.figure} --out {params.stem} "
        "--digest {params.digest} >{log} 2>&1"


# One target a figure: `snakemake figure_1`.
for name in STUDY.figures:

    rule:
        name:
            name
        input:
            f"{STORE}/figures/{STUDY.name}/{name}.pdf",
        localrule: True
