from nmepkg.planning.resources import gpus, gres, minutes, training_memory


rule train:
    input:
        # A file named by the hash of what it holds is the same however new it is.
        lambda wildcards: ancient(plan.data(wildcards.run)),
    output:
        # What is there is left: a training that finds its result has nothing to do, and a job that was thought lost may have
        # finished meanwhile.
        update(plan.store.result("{run}")),
        update(plan.store.params("{run}")),
    log:
        f"{plan.logs}/train/{{run}}.log",
    threads: lambda wildcards: plan.needs(wildcards.run).cpus
    resources:
        gpu=lambda wildcards: gpus(plan.needs(wildcards.run).gpus),
        gres=lambda wildcards: gres(plan.needs(wildcards.run).gpus),
        mem_mb=lambda wildcards, attempt: training_memory(plan, plan.needs(wildcards.run), [wildcards.run]),
        runtime=lambda wildcards: minutes(plan.needs(wildcards.run).hours),
    params:
        job=plan.file("train", "{run}"),
    message:
        "Training {wildcards.run}"
    # NPROC is the size of XLA's thread pool: as many threads as a job asks for, or parallel jobs fight for the cores.
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        'python "$NMEPKG_SCRIPTS"/train.py --job {params.job} >{log} 2>&1'


# The same for a run whose result is there, and not the parameters or snapshots that are asked for: Snakemake knows of neither.
use rule train as train_again with:
    output:
        temp(touch(f"{plan.marks}/{{run}}.again")),
