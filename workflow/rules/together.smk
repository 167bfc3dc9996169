from nmepkg.planning.resources import gpus, gres, minutes, training_memory
from nmepkg.planning.texts import in_command


# Several runs in one job, `runs_per_job` of a setup. Their results are no outputs of it: Snakemake deletes those of a job that
# fails, and one run that fails is no reason to lose the others.
rule train_together:
    input:
        lambda wildcards: ancient(plan.data(plan.runs_of_pack(wildcards.pack)[0])),
    output:
        temp(touch(f"{plan.marks}/{{pack}}.done")),
    log:
        f"{plan.logs}/train_together/{{pack}}.log",
    threads: lambda wildcards: plan.needs_of_pack(wildcards.pack).cpus
    resources:
        gpu=lambda wildcards: gpus(plan.needs_of_pack(wildcards.pack).gpus),
        gres=lambda wildcards: gres(plan.needs_of_pack(wildcards.pack).gpus),
        mem_mb=lambda wildcards, attempt: training_memory(
            plan, plan.needs_of_pack(wildcards.pack), plan.runs_of_pack(wildcards.pack)
        ),
        runtime=lambda wildcards: minutes(plan.hours(plan.runs_of_pack(wildcards.pack))),
    params:
        job=plan.file("train_together", "{pack}"),
    message:
        "Several trainings: {wildcards.pack}"
    shell:
        "NPROC={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} "
        'python "$NMEPKG_SCRIPTS"/train_together.py --job {params.job} >{log} 2>&1'


# Whether one of them is there; if not, its log says why.
rule trained:
    input:
        lambda wildcards: plan.pack_mark(wildcards.run),
    output:
        temp(touch(f"{plan.marks}/{{run}}.trained")),
    log:
        f"{plan.logs}/trained/{{run}}.log",
    retries: 0
    localrule: True
    message:
        "Trained: {wildcards.run}"
    # A job a run: what would be its parameters, of functions, would take Snakemake a tenth of its time for all.
    shell:
        f"test -e {in_command(plan.store.result, 'run')} || "
        f"{{{{ cat {in_command(plan.training_log, 'run')} >{{log}} 2>&1; exit 1; }}}}"
