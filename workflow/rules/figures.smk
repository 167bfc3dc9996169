def figure_inputs(wildcards):
    figure = STUDY.figures[wildcards.figure]
    if figure.landscape is not None:
        return [f"{STORE}/landscapes/{job.id}.npz" for _, job in EXPANSION.landscapes[figure.landscape]]
    if figure.measurement is not None:
        jobs = [EXPANSION.measurements[id] for id in EXPANSION.measurements_of(figure)]
        return [f"{STORE}/measurements/{job.run}/{job.id}.json" for job in jobs]
    return [f"{STORE}/runs/{run}/result.json" for run in EXPANSION.runs_of(figure)]


rule figure:
    input:
        figure_inputs,
    output:
        multiext(f"{FIGURES}/{{figure}}", ".pdf", ".png", ".runs.csv"),
        svg=report(
            f"{FIGURES}/{{figure}}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels=lambda wildcards: {"figure": STUDY.figures[wildcards.figure].title or wildcards.figure, "as": "plot"},
        ),
        csv=report(
            f"{FIGURES}/{{figure}}.csv",
            caption="../report/table.rst",
            category="Figures",
            labels=lambda wildcards: {"figure": STUDY.figures[wildcards.figure].title or wildcards.figure, "as": "table"},
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
