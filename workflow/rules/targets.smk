from nmepkg.planning.plan import distinct


rule measurements:
    input:
        lambda wildcards: plan.measurements(),
    localrule: True
    message:
        f"The measurements are in {plan.store.root}/measurements"


rule report:
    input:
        rules.figures.input,
        [f"{plan.figures}/study.yaml", f"{plan.figures}/versions.csv", plan.origin],
    localrule: True
    message:
        f"The figures, and where they come from, are in {plan.figures}; one file of HTML: make report"


rule all:
    input:
        rules.report.input,
        lambda wildcards: distinct([plan.measurements(), plan.finished(plan.expansion.runs)]),
    localrule: True
    message:
        f"The figures are in {plan.figures}, all results in {plan.store.root}"
