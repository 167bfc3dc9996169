rule figure:
    input:
        figure_inputs,
    output:
        multiext(f"{FIGURES}/{{figure}}", ".pdf", ".png", ".runs.csv"),
        svg=report(
            f"{FIGURES}/{{figure}}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels=lambda wildcards: {"figure": figure_label(wildcards), "as": "plot"},
        ),
        csv=report(
            f"{FIGURES}/{{figure}}.csv",
            caption="../report/table.rst",
            category="Figures",
            labels=lambda wildcards: {"figure": figure_label(wildcards), "as": "table"},
        ),
    log:
        f"{STORE}/logs/figure/{STUDY.name}/{{figure}}.log",
    params:
        study=shlex.quote(str(STUDY_FILE)),
        stem=f"{FIGURES}/{{figure}}",
        caption=lambda wildcards: STUDY.figures[wildcards.figure].caption,
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
            f"{FIGURES}/{name}.pdf",
        localrule: True
