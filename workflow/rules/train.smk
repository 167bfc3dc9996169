rule train:
    input:
        lambda wildcards: prepared(wildcards.run),
    output:
        # What is there is left: a training that finds its result has nothing to do, and a job that was thought lost may have
        # finished meanwhile.
        update(STORE.result("{run}")),
        update(STORE.params("{run}")),
    log:
        f"{LOGS}/train/{{run}}.log",
    threads: lambda wildcards: needs(wildcards.run).cpus
    resources:
        gpu=lambda wildcards: gpus(needs(wildcards.run).gpus),
        gres=lambda wildcards: gres(needs(wildcards.run).gpus),
        mem_mb=lambda wildcards, attempt: training_memory(needs(wildcards.run), [wildcards.run]),
        runtime=lambda wildcards: minutes(needs(wildcards.run).hours),
        # No parameter, as those say what a run is: a change would train everything again.
        checkpoints=CHECKPOINTS,
        source=lambda wildcards: streamed_source(wildcards.run),
    params:
        job=lambda wildcards: job_arguments(wildcards.run, planned(EXPANSION.runs, wildcards.run)),
        gpus=lambda wildcards: needs(wildcards.run).gpus,
    message:
        "Training {wildcards.run}"
    # NPROC is the size of XLA's thread pool: as many threads as a job asks for, or parallel jobs fight for the cores.
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        'python "$NMEPKG_SCRIPTS"/train.py {params.job} --gpus {params.gpus} {resources.checkpoints} {resources.source} '
        ">{log} 2>&1"


# The same for a run whose result is there and whose parameters or snapshots are not: Snakemake would ask for neither.
use rule train as train_again with:
    output:
        temp(touch(f"{PACKED}/{{run}}.again")),


# The same for several runs in one job, `runs_per_job` of a setup. Their results are no outputs of it: Snakemake deletes those
# of a job that fails, and one run that fails is no reason to lose the others.
rule train_together:
    input:
        lambda wildcards: ancient(list(map(str, STORE.data_files(pack_of(wildcards.pack).runs[0].data_id)))),
    output:
        temp(touch(f"{PACKED}/{{pack}}.done")),
    log:
        f"{LOGS}/train_together/{{pack}}.log",
    threads: lambda wildcards: pack_needs(wildcards.pack).cpus
    resources:
        gpu=lambda wildcards: gpus(pack_needs(wildcards.pack).gpus),
        gres=lambda wildcards: gres(pack_needs(wildcards.pack).gpus),
        mem_mb=lambda wildcards, attempt: training_memory(
            pack_needs(wildcards.pack), [run.id for run in pack_of(wildcards.pack).runs]
        ),
        runtime=lambda wildcards: minutes(pack_needs(wildcards.pack).hours * len(pack_of(wildcards.pack).runs)),
        checkpoints=CHECKPOINTS,
        source=lambda wildcards: streamed_source(pack_of(wildcards.pack).runs[0].id),
    params:
        plan=f"{PACKED}/{{pack}}.json",
        gpus=lambda wildcards: pack_needs(wildcards.pack).gpus,
        store=shlex.quote(STUDY.store),
        logs=shlex.quote(f"{LOGS}/train"),
    message:
        "Several trainings: {wildcards.pack}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        'python "$NMEPKG_SCRIPTS"/train_together.py --plan {params.plan} --store {params.store} --logs {params.logs} '
        "--gpus {params.gpus} {resources.checkpoints} {resources.source} >{log} 2>&1"


# Whether one of them is there; if not, its log says why.
rule trained:
    input:
        lambda wildcards: f"{PACKED}/{PACK_OF[wildcards.run].id}.done",
    output:
        temp(touch(f"{PACKED}/{{run}}.trained")),
    log:
        f"{LOGS}/trained/{{run}}.log",
    retries: 0
    localrule: True
    params:
        result=lambda wildcards: shlex.quote(str(STORE.result(wildcards.run))),
        log=lambda wildcards: shlex.quote(f"{LOGS}/train/{wildcards.run}.log"),
    message:
        "Trained: {wildcards.run}"
    shell:
        "test -e {params.result} || {{ cat {params.log} >{log} 2>&1; exit 1; }}"
