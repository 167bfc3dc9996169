rule data:
    output:
        arrays=f"{STORE}/data/{{data}}.npz",
        description=f"{STORE}/data/{{data}}.json",
    params:
        spec=lambda wildcards: shlex.quote(to_json(EXPANSION.datasets[wildcards.data])),
    log:
        f"{STORE}/logs/data/{{data}}.log",
    message:
        "Preparing {wildcards.data}"
    shell:
        "{PYTHON} workflow/scripts/prepare_data.py --spec {params.spec} --out {output.arrays} >{log} 2>&1"
