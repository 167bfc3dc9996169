rule measure:
    input:
        lambda wildcards: ancient(result(wildcards.run)),
        lambda wildcards: prepared(wildcards.run),
    output:
        update(STORE.measurement("{run}", "{measurement}")),
    log:
        f"{LOGS}/measure/{{run}}/{{measurement}}.log",
    threads: lambda wildcards: needs(wildcards.run).cpus
    resources:
        # On one device: what is measured needs no more. It has no checkpoints, so that another try gets more time.
        gpu=lambda wildcards: gpus(min(1, needs(wildcards.run).gpus)),
        gres=lambda wildcards: gres(min(1, needs(wildcards.run).gpus)),
        mem_mb=lambda wildcards, attempt: memory(needs(wildcards.run), attempt),
        runtime=lambda wildcards, attempt: minutes(attempt * min(2, needs(wildcards.run).hours)),
        source=lambda wildcards: streamed_source(wildcards.run),
    params:
        job=lambda wildcards: job_arguments(
            wildcards.measurement, planned(EXPANSION.measurements, wildcards.measurement)
        ),
        gpus=lambda wildcards: min(1, needs(wildcards.run).gpus),
    message:
        "Measuring {wildcards.measurement} of {wildcards.run}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        'python "$NMEPKG_SCRIPTS"/measure.py {params.job} --run {wildcards.run} --gpus {params.gpus} {resources.source} '
        ">{log} 2>&1"


rule landscape:
    output:
        update(STORE.landscape("{landscape}")),
    log:
        f"{LOGS}/landscape/{{landscape}}.log",
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: minutes(attempt),
    params:
        job=lambda wildcards: job_arguments(wildcards.landscape, planned(LANDSCAPES, wildcards.landscape)),
    message:
        "Computing landscape {wildcards.landscape}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        'python "$NMEPKG_SCRIPTS"/landscape.py {params.job} --gpus {resources.gpu} >{log} 2>&1'
