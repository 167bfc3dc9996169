# Two rules a figure: one that draws it, and one that is its target, `snakemake figure_1`.
for name in STUDY.figures:
    digest = figure_digest(STUDY, EXPANSION, STUDY.figures[name])

    rule:
        name:
            f"draw_{name}"
        input:
            ancient(figure_inputs(name)),
        output:
            multiext(f"{FIGURES}/{name}", ".pdf", ".png", ".runs.csv"),
            svg=report(
                f"{FIGURES}/{name}.svg",
                caption="../report/figure.rst",
                category="Figures",
                labels={"figure": figure_label(name), "as": "plot"},
            ),
            csv=report(
                f"{FIGURES}/{name}.csv",
                caption="../report/table.rst",
                category="Figures",
                labels={"figure": figure_label(name), "as": "table"},
            ),
            # Named by what the figure shows and the code that draws it: whatever else there is, this is missing if either changed.
            record=figure_record(Path(FIGURES), name, digest),
        log:
            f"{LOGS}/figure/{STUDY.name}/{name}.log",
        localrule: True
        params:
            study=verbatim(STUDY_ARGUMENT),
            overrides=arguments(OVERRIDES),
            name=name,
            folder=subpath(output.svg, parent=True),
            digest=digest,
            # For the report.
            caption=verbatim(as_text(STUDY.figures[name].caption)),
            file=verbatim(as_text(str(STUDY_FILE))),
        message:
            f"Drawing {name}"
        shell:
            'python "$NMEPKG_SCRIPTS"/figure.py --study {params.study} {params.overrides} --figure {params.name} '
            "--out {params.folder} --digest {params.digest} >{log} 2>&1"

    # The files behind it too: one that is gone is computed again, though the figure is still there.
    rule:
        name:
            name
        input:
            getattr(rules, f"draw_{name}").output,
            getattr(rules, f"draw_{name}").input,
        localrule: True
        message:
            f"The figure is {FIGURES}/{name}.pdf"
