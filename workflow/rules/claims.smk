from nmepkg.planning.texts import verbatim

# As of a figure: one rule that judges, and one that is the target, which asks for what is gone behind it too.
if plan.study.claims:

    rule judge:
        input:
            lambda wildcards: ancient(plan.behind_claims()),
        output:
            multiext(f"{plan.figures}/claims", ".pdf", ".png"),
            svg=report(
                f"{plan.figures}/claims.svg",
                caption="../report/claims.rst",
                category="Claims",
                labels={"figure": "Claims", "as": "plot"},
            ),
            csv=report(
                plan.verdicts,
                caption="../report/claims_table.rst",
                category="Claims",
                labels={"figure": "Claims", "as": "table"},
            ),
            record=plan.claims,
        log:
            f"{plan.logs}/claims/{plan.study.name}.log",
        localrule: True
        params:
            study=verbatim(plan.study_arguments),
            folder=subpath(output.svg, parent=True),
            digest=subpath(output.record, basename=True, strip_suffix=".json"),
        message:
            "Judging the claims"
        shell:
            'python "$NMEPKG_SCRIPTS"/claims.py {params.study} --table {output.csv} --out {params.folder} '
            "--digest {params.digest} >{log} 2>&1"

    rule claims:
        input:
            rules.judge.output,
            lambda wildcards: plan.lost(["claims"]),
        localrule: True
        message:
            f"The verdicts are in {plan.verdicts}"
