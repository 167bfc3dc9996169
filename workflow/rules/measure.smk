rule measure:
    input:
        ancient(STORE.result("{run}")),
        lambda wildcards: ancient(STORE.data(planned(EXPANSION.runs, wildcards.run).data_id)),
    output:
        STORE.measurement("{run}", "{measurement}"),
    log:
        f"{LOGS}/measure/{{run}}/{{measurement}}.log",
    threads: 1
    resources:
        source=lambda wildcards: streamed_source(wildcards.run),
    params:
        job=lambda wildcards: job_arguments(
            wildcards.measurement, planned(EXPANSION.measurements, wildcards.measurement)
        ),
    message:
        "Measuring {wildcards.measurement} of {wildcards.run}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        "python workflow/scripts/measure.py {params.job} --run {wildcards.run} {resources.source} >{log} 2>&1"


rule landscape:
    output:
        STORE.landscape("{landscape}"),
    log:
        f"{LOGS}/landscape/{{landscape}}.log",
    threads: 1
    params:
        job=lambda wildcards: job_arguments(wildcards.landscape, planned(LANDSCAPES, wildcards.landscape)),
    message:
        "Computing landscape {wildcards.landscape}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        "python workflow/scripts/landscape.py {params.job} >{log} 2>&1"
