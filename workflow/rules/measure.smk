from nmepkg.planning.resources import gpus, gres, memory, minutes
from nmepkg.planning.texts import in_command


rule measure:
    input:
        lambda wildcards: ancient(plan.behind_measurement(wildcards.run, wildcards.measurement)),
    output:
        update(plan.store.measurement("{run}", "{measurement}")),
    log:
        f"{plan.logs}/measure/{{run}}/{{measurement}}.log",
    threads: lambda wildcards: plan.needs_to_measure(wildcards.run).cpus
    resources:
        gpu=lambda wildcards: gpus(plan.needs_to_measure(wildcards.run).gpus),
        gres=lambda wildcards: gres(plan.needs_to_measure(wildcards.run).gpus),
        mem_mb=lambda wildcards, attempt: memory(plan.needs_to_measure(wildcards.run), attempt),
        runtime=lambda wildcards, attempt: minutes(attempt * plan.needs_to_measure(wildcards.run).hours),
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


# Several measurements in one job, as trainings are in `train_together`.
rule measure_together:
    input:
        lambda wildcards: ancient(plan.behind_together(wildcards.pack)),
    output:
        temp(touch(f"{plan.marks}/{{pack}}.taken")),
    log:
        f"{plan.logs}/measure_together/{{pack}}.log",
    threads: lambda wildcards: plan.needs_to_measure_together(wildcards.pack).cpus
    resources:
        gpu=lambda wildcards: gpus(plan.needs_to_measure_together(wildcards.pack).gpus),
        gres=lambda wildcards: gres(plan.needs_to_measure_together(wildcards.pack).gpus),
        mem_mb=lambda wildcards, attempt: memory(plan.needs_to_measure_together(wildcards.pack), attempt),
        runtime=lambda wildcards, attempt: minutes(attempt * plan.needs_to_measure_together(wildcards.pack).hours),
    params:
        job=plan.file("measure_together", "{pack}"),
    message:
        "Several measurements: {wildcards.pack}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        'python "$NMEPKG_SCRIPTS"/measure_together.py --job {params.job} >{log} 2>&1'


# Whether one of them is there; if not, its log says why.
rule measured:
    input:
        lambda wildcards: plan.behind_measured(wildcards.run, wildcards.measurement),
    output:
        temp(touch(plan.measured_mark("{run}", "{measurement}"))),
    log:
        f"{plan.logs}/measured/{{run}}/{{measurement}}.log",
    retries: 0
    localrule: True
    message:
        "Measured: {wildcards.measurement}"
    shell:
        f"test -e {in_command(plan.store.measurement, 'run', 'measurement')} || "
        f"{{{{ cat {in_command(plan.measured_log, 'run', 'measurement')} >{{log}} 2>&1; exit 1; }}}}"
