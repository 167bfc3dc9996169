from nmepkg.planning.texts import verbatim

shown = [getattr(rules, f"draw_{name}").output for name in plan.study.figures]
shown += [rules.judge.output] if plan.study.claims else []


# One page to look at. Where a figure is drawn, or claims are judged, it is made again: by their scripts it loses its record.
rule page:
    input:
        ancient(shown),
        # Where one that is there will be drawn again, as what it is drawn from is gone, this is made too.
        lambda wildcards: ancient(plan.lost(plan.shown)),
    output:
        page=report(
            f"{plan.figures}/index.html",
            caption="../report/page.rst",
            category="All on one page",
            labels={"page": "Figures and verdicts"},
        ),
        record=plan.page,
    log:
        f"{plan.logs}/page/{plan.study.name}.log",
    localrule: True
    params:
        study=verbatim(plan.study_arguments),
        table=verbatim(plan.verdicts),
        folder=subpath(output.page, parent=True),
        digest=subpath(output.record, basename=True, strip_suffix=".json"),
    message:
        "Putting all on one page"
    shell:
        'python "$NMEPKG_SCRIPTS"/page.py {params.study} --table {params.table} --out {params.folder} '
        "--digest {params.digest} >{log} 2>&1"
