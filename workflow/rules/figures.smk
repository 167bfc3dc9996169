from nmepkg.planning.texts import escaped, label, verbatim

# Two rules a figure: one that draws it, and one that is its target, `snakemake figure_1`.
for place, (name, figure) in enumerate(plan.study.figures.items(), start=1):
    title = label(f"{place:02}. {figure.title or name}")  # the report sorts by it

    rule:
        name:
            f"draw_{name}"
        input:
            # Listed when asked for: a job of a cluster, which reads this file once more, never does.
            lambda wildcards, name=name: ancient(plan.behind(name)),
        output:
            multiext(f"{plan.figures}/{name}", ".pdf", ".png", ".runs.csv"),
            svg=report(
                f"{plan.figures}/{name}.svg",
                caption="../report/figure.rst",
                category="Figures",
                labels={"figure": title, "as": "plot"},
            ),
            csv=report(
                f"{plan.figures}/{name}.csv",
                caption="../report/table.rst",
                category="Figures",
                labels={"figure": title, "as": "table"},
            ),
            record=plan.record(name),
        log:
            f"{plan.logs}/figure/{plan.study.name}/{name}.log",
        localrule: True
        params:
            study=verbatim(plan.study_arguments),
            name=name,
            folder=subpath(output.svg, parent=True),
            digest=subpath(output.record, basename=True, strip_suffix=".json"),
            # For the report.
            caption=verbatim(escaped(figure.caption)),
            file=verbatim(escaped(str(plan.study.path))),
        message:
            f"Drawing {name}"
        shell:
            'python "$NMEPKG_SCRIPTS"/figure.py {params.study} --figure {params.name} --out {params.folder} '
            "--digest {params.digest} >{log} 2>&1"

    # What is gone of the files behind it, too: that is computed again, though the figure is still there.
    rule:
        name:
            name
        input:
            getattr(rules, f"draw_{name}").output,
            lambda wildcards, name=name: plan.lost([name]),
        localrule: True
        message:
            f"The figure is {plan.figures}/{name}.pdf"
