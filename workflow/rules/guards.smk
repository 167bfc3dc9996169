# What Snakemake can do besides running jobs, where that would take others' results or tell what is no longer so. There is no
# other place to say no: of these calls a workflow is told nothing.
def refuse(problem):
    print(problem, file=sys.stderr)
    sys.exit(2)


def delete_output(only_temp=False, dryrun=False, delete=workflow.delete_output):
    if not only_temp:
        refuse(
            f"--delete-all-output: others may use what is in {STORE.root}; delete what no study uses by "
            f"'python -m nmepkg gc --yes', and figures by removing {FIGURES}"
        )
    delete(only_temp=only_temp, dryrun=dryrun)


def create_report(*arguments, create=workflow.create_report, build=workflow._build_dag, **options):
    """Titles and captions of a report are those of now: what they are put round has to be so too."""

    def build_and_check():
        build()
        shown = [job for job in workflow.dag.jobs if job.rule.name == "origin" or job.rule.name.startswith("draw_")]
        lacking = [file for job in shown for file in job.output if not present(Path(file))]
        if lacking:
            refuse(
                f"--report: {len(lacking)} files that it would show are not there, or not of the study as it is now, the first "
                f"is {lacking[0]}; call the same without --report first"
            )

    workflow._build_dag = build_and_check
    create(*arguments, **options)


def build_dag(build=workflow._build_dag):
    """What Snakemake would look for among files and miss, in words of its own."""
    for target in workflow.dag_settings.targets:
        if re.fullmatch(r"[\w-]+", target) and not (workflow.is_rule(target) or Path(target).exists()):
            names = ", ".join(["figures", "measurements", "report", "all", *STUDY.figures])
            refuse(f"{target}: neither a figure of {STUDY_FILE} nor another target; choose from {names}")
    build()


workflow.delete_output = delete_output
workflow.create_report = create_report
workflow._build_dag = build_dag
