rule data:
    output:
        # What is there is left, as of trainings: somebody else may have made it meanwhile, and be reading it.
        arrays=update(STORE.data("{data}")),
        description=update(STORE.data("{data}").with_suffix(".json")),
    log:
        f"{LOGS}/data/{{data}}.log",
    # Where Snakemake runs: a download needs a way out, which nodes of a cluster often have not.
    localrule: True
    resources:
        source=lambda wildcards: source_argument(planned(EXPANSION.datasets, wildcards.data).spec),
    params:
        job=lambda wildcards: job_arguments(wildcards.data, planned(EXPANSION.datasets, wildcards.data)),
    message:
        "Preparing {wildcards.data}"
    shell:
        'python "$NMEPKG_SCRIPTS"/prepare_data.py {params.job} {resources.source} >{log} 2>&1'
