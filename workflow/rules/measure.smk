from nmepkg.planning.resources import gpus, gres, memory, minutes


rule measure:
    input:
        lambda wildcards: ancient([plan.result(wildcards.run), *plan.data(wildcards.run)]),
    output:
        update(plan.store.measurement("{run}", "{measurement}")),
    log:
        f"{plan.logs}/measure/{{run}}/{{measurement}}.log",
    threads: lambda wildcards: plan.needs(wildcards.run).cpus
    resources:
        # On one device: what is measured needs no more. It has no checkpoints, so that another try gets more time.
        gpu=lambda wildcards: gpus(min(1, plan.needs(wildcards.run).gpus)),
        gres=lambda wildcards: gres(min(1, plan.needs(wildcards.run).gpus)),
        mem_mb=lambda wildcards, attempt: memory(plan.needs(wildcards.run), attempt),
        runtime=lambda wildcards, attempt: minutes(attempt * min(2, plan.needs(wildcards.run).hours)),
    params:
        job=plan.file("measure", "{measurement}"),
    message:
        "Measuring {wildcards.measurement} of {wildcards.run}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        'python "$NMEPKG_SCRIPTS"/measure.py --job {params.job} >{log} 2>&1'


rule landscape:
    output:
        update(plan.store.landscape("{landscape}")),
    log:
        f"{plan.logs}/landscape/{{landscape}}.log",
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: minutes(attempt),
    params:
        job=plan.file("landscape", "{landscape}"),
    message:
        "Computing landscape {wildcards.landscape}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        'python "$NMEPKG_SCRIPTS"/landscape.py --job {params.job} >{log} 2>&1'
