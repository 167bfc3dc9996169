rule data:
    output:
        arrays=STORE.data("{data}"),
        description=STORE.data("{data}").with_suffix(".json"),
    log:
        f"{LOGS}/data/{{data}}.log",
    resources:
        source=lambda wildcards: source_argument(planned(EXPANSION.datasets, wildcards.data).spec),
    params:
        job=lambda wildcards: job_arguments(wildcards.data, planned(EXPANSION.datasets, wildcards.data)),
    message:
        "Preparing {wildcards.data}"
    shell:
        "python workflow/scripts/prepare_data.py {params.job} {resources.source} >{log} 2>&1"
