rule train:
    input:
        # Named by its content's hash: a newer file is the same data.
        data=lambda wildcards: ancient(f"{STORE}/data/{EXPANSION.runs[wildcards.run].data_id}.npz"),
    output:
        result=f"{STORE}/runs/{{run}}/result.json",
        params=f"{STORE}/runs/{{run}}/params.npz",
    log:
        f"{STORE}/logs/train/{{run}}.log",
    threads: 1
    params:
        spec=lambda wildcards: shlex.quote(to_json(EXPANSION.runs[wildcards.run].spec)),
        code=lambda wildcards: EXPANSION.runs[wildcards.run].code,
        out=subpath(output.result, parent=True),
        cache=f"{STORE}/cache/jax",
    message:
        "Training {wildcards.run}"
    # NPROC is the size of XLA's thread pool: one thread a job, or parallel jobs fight for the cores.
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        "python workflow/scripts/train.py --run {wildcards.run} --spec {params.spec} --code {params.code} "
        "--data {input.data} --out {params.out} --cache {params.cache} >{log} 2>&1"
