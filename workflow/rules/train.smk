rule train:
    input:
        # Here and in other rules: a file named by the hash of what it holds is the same however new it is.
        lambda wildcards: ancient(STORE.data(planned(EXPANSION.runs, wildcards.run).data_id)),
    output:
        STORE.result("{run}"),
        STORE.run("{run}") / "params.npz",
    log:
        f"{LOGS}/train/{{run}}.log",
    threads: 1
    resources:
        # No parameter, as those say what a run is: a change would train everything again.
        checkpoints=" ".join(f"--checkpoint-{unit} {n:g}" for unit, n in STUDY.checkpoints.items() if n is not None),
        source=lambda wildcards: streamed_source(wildcards.run),
    params:
        job=lambda wildcards: job_arguments(wildcards.run, planned(EXPANSION.runs, wildcards.run)),
    message:
        "Training {wildcards.run}"
    # NPROC is the size of XLA's thread pool: one thread a job, or parallel jobs fight for the cores.
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        "python workflow/scripts/train.py {params.job} {resources.checkpoints} {resources.source} >{log} 2>&1"
