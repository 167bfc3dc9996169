rule measure:
    input:
        result=f"{STORE}/runs/{{run}}/result.json",
        data=lambda wildcards: ancient(f"{STORE}/data/{EXPANSION.runs[wildcards.run].data_id}.npz"),
    output:
        f"{STORE}/measurements/{{run}}/{{measurement}}.json",
    log:
        f"{STORE}/logs/measure/{{run}}/{{measurement}}.log",
    threads: 1
    params:
        spec=lambda wildcards: shlex.quote(to_json(EXPANSION.measurements[wildcards.measurement].spec)),
        code=lambda wildcards: EXPANSION.measurements[wildcards.measurement].code,
        run=subpath(input.result, parent=True),
        cache=f"{STORE}/cache/jax",
    message:
        "Measuring {wildcards.measurement} of {wildcards.run}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        "python workflow/scripts/measure.py --measurement {wildcards.measurement} --spec {params.spec} "
        "--code {params.code} --run {params.run} --data {input.data} --out {output} --cache {params.cache} >{log} 2>&1"


rule landscape:
    output:
        f"{STORE}/landscapes/{{landscape}}.npz",
    log:
        f"{STORE}/logs/landscape/{{landscape}}.log",
    threads: 1
    params:
        spec=lambda wildcards: shlex.quote(to_json(LANDSCAPES[wildcards.landscape].spec)),
        code=lambda wildcards: LANDSCAPES[wildcards.landscape].code,
        cache=f"{STORE}/cache/jax",
    message:
        "Computing landscape {wildcards.landscape}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        "python workflow/scripts/landscape.py --spec {params.spec} --code {params.code} --out {output} "
        "--cache {params.cache} >{log} 2>&1"
