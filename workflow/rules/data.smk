rule data:
    output:
        arrays=f"{STORE}/data/{{data}}.npz",
        description=f"{STORE}/data/{{data}}.json",
    log:
        f"{STORE}/logs/data/{{data}}.log",
    params:
        spec=lambda wildcards: shlex.quote(to_json(EXPANSION.datasets[wildcards.data])),
    message:
        "Preparing {wildcards.data}"
    shell:
        "python workflow/scripts/prepare_data.py --spec {params.spec} --out {output.arrays} >{log} 2>&1"
