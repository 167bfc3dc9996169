def results_of(wildcards):
    cells = EXPANSION.cells_of(STUDY.figures[wildcards.figure])
    return list(dict.fromkeys(f"{STORE}/runs/{cell.run_id}/result.json" for cell in cells))


rule figure:
    input:
        results_of,
    output:
        multiext(f"{STORE}/figures/{STUDY.name}/{{figure}}", ".pdf", ".svg", ".png", ".csv", ".runs.csv"),
    params:
        study=shlex.quote(str(STUDY_FILE)),
        stem=f"{STORE}/figures/{STUDY.name}/{{figure}}",
        # Changes with what the figure shows and with the code that draws it, so that either draws it again.
        digest=lambda wildcards: figure_digest(STUDY, EXPANSION, STUDY.figures[wildcards.figure]),
    log:
        f"{STORE}/logs/figure/{STUDY.name}/{{figure}}.log",
    message:
        "Drawing {wildcards.figure}"
    shell:
        "{PYTHON} workflow/scripts/figure.py --study {params.study} --figure {wildcards.figure} --out {params.stem} "
        "--digest {params.digest} >{log} 2>&1"


# One target a figure: `snakemake figure_1`.
for name in STUDY.figures:

    rule:
        name:
            name
        localrule: True
        input:
            f"{STORE}/figures/{STUDY.name}/{name}.pdf",
