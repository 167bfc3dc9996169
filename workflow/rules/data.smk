rule data:
    output:
        # What is there is left, as of trainings: somebody else may have made it meanwhile, and be reading it.
        arrays=update(plan.store.data("{data}")),
        description=update(plan.store.data("{data}").with_suffix(".json")),
    log:
        f"{plan.logs}/data/{{data}}.log",
    # Where Snakemake runs: a download needs a way out, which nodes of a cluster often have not.
    localrule: True
    params:
        job=plan.file("data", "{data}"),
    message:
        "Preparing {wildcards.data}"
    shell:
        'python "$NMEPKG_SCRIPTS"/prepare_data.py --job {params.job} >{log} 2>&1'
