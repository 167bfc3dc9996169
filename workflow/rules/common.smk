def planned(table, id):
    """What the study plans under an id. Jobs of a cluster read the study again, when it may have changed."""
    if id not in table:
        raise WorkflowError(f"{id}: study or code changed since this job was planned; run snakemake again")
    return table[id]


def job_arguments(id, job):
    """What every job gets: what to compute, with which code, into which store."""
    return shlex.join(["--id", id, "--spec", to_json(job.spec), "--code", job.code, "--store", STUDY.store])


def source_argument(data):
    """Where a data set comes from, if the study says so. In a rule's resources, as it is no part of what a job computes."""
    source = source_of(STUDY, data["name"])
    return "" if source is None else shlex.join(["--source", str(source)])


def streamed_source(run):
    """The same for what reads a run's data while it works; prepared arrays need no source any more."""
    data = planned(EXPANSION.runs, run).spec["data"]
    return source_argument(data) if DATASETS[data["name"]].streamed else ""


def needed_data(jobs):
    """Ids of the data sets that jobs read."""
    for job in jobs:
        if job.rule.name == "data":
            yield job.wildcards.data
        elif job.rule.name == "train_together":
            yield pack_of(job.wildcards.pack).runs[0].data_id
        elif job.rule.name in ("train", "train_again", "measure"):
            yield EXPANSION.runs[job.wildcards.run].data_id


def prepared(run):
    """The data of a run. A file named by the hash of what it holds is the same however new it is."""
    return ancient(list(map(str, STORE.data_files(planned(EXPANSION.runs, run).data_id))))


def needs(run):
    """What a job on a run needs of a machine."""
    return STUDY.setups[planned(SETUP_OF, run)].resources


# How a cluster gives GPUs, if not by --gpus: see profiles/slurm/site.example.yaml.
GRES = os.environ.get("GRES_OF_GPUS", "")


def gpus(count):
    """How many GPUs the executor asks for. The job itself knows from its parameters how many it was promised."""
    return 0 if GRES else count


def gres(count):
    return f"{GRES}:{count}" if GRES and count else ""


LARGEST_MEMORY = float(os.environ.get("LARGEST_MEMORY_MB", "inf"))


def memory(resources, attempt):
    """Megabytes. A job that failed may have run out of them: the next try has half as much again."""
    least = 1000 * resources.memory_gb
    return round(max(least, min(least * (1 + attempt) / 2, LARGEST_MEMORY)))


def training_memory(resources, runs):
    """The same for trainings, which say how they ended."""
    least = 1000 * resources.memory_gb
    return round(max(least, min(max(next_memory(STORE, run, least) for run in runs), LARGEST_MEMORY)))


def minutes(hours):
    return max(1, round(60 * hours))


def pack_of(id):
    """The runs of a job that trains several. The job itself has it from the plan that was written for it."""
    return PACKS[id] if id in PACKS else read_plan(PACKED / f"{id}.json")


def pack_needs(id):
    return planned(STUDY.setups, pack_of(id).setup).resources


# Packs of which no run was asked for by itself, so that all of their runs are trained.
UNASKED = set()


def write_plans(jobs):
    """Leaves word for jobs that train several runs of those that are needed, as the study may have changed when they start."""
    jobs = list(jobs)
    asked = {job.wildcards.run for job in jobs if job.rule.name == "trained"}
    for id in (job.wildcards.pack for job in jobs if job.rule.name == "train_together"):
        runs = {run.id for run in PACKS[id].runs}
        if not runs & asked:
            UNASKED.add(id)
        write_plan(PACKS[id], runs & asked or runs, PACKED / f"{id}.json")


def result(run):
    """What says that a run is finished: its result, or a mark of this call's that it was trained together with others, or again."""
    if run in PACK_OF:
        return f"{PACKED}/{run}.trained"
    return f"{PACKED}/{run}.again" if run in AGAIN else STORE.result(run)


def check_cluster(jobs):
    """What of the jobs of a cluster is certain to fail is said before any is submitted."""
    jobs = list(jobs)
    if workflow.executor_plugin.name == "slurm":
        asked = [(job.resources.runtime, job.rule.name) for job in jobs if not (job.is_local or job.is_norun)]
        refuse_too_long({rule: most for most, rule in sorted(asked)})
        runs = {run for job in jobs if job.rule.name.startswith("train") for run in runs_of(job)}
        refuse_too_few_tries(estimates(runs), 1 + workflow.execution_settings.retries)


def runs_of(job):
    """The runs that a job trains."""
    return (
        [run.id for run in pack_of(job.wildcards.pack).runs] if "pack" in job.wildcards.keys() else [job.wildcards.run]
    )


def estimates(runs):
    """Of runs whose setup says how long a training by SGD takes: setup, method, hours that theirs would take, hours of a job."""
    for run in runs:
        setup, method = STUDY.setups[SETUP_OF[run]], EXPANSION.runs[run].spec["method"]
        if setup.device_hours is not None:
            hours = device_hours(setup, method) / max(1, setup.resources.gpus)
            yield setup.name, method["name"], hours, setup.resources.hours


def distinct(lists):
    """Files, each once: every mention of one takes Snakemake's time."""
    return list(dict.fromkeys(str(file) for files in lists for file in files))


def figure_inputs(name):
    """Files that a figure is drawn from."""
    figure = STUDY.figures[name]
    if figure.landscape is not None:
        return [STORE.landscape(job.id) for _, job in EXPANSION.landscapes[figure.landscape]]
    jobs = [EXPANSION.measurements[id] for id in EXPANSION.measurements_of(figure)]
    return [
        *(result(run) for run in EXPANSION.runs_of(figure)),
        *(STORE.measurement(job.run, job.id) for job in jobs),
    ]


def figure_label(name):
    # The report sorts by label: the place in the study comes first.
    place = list(STUDY.figures).index(name) + 1
    label = f"{place:02}. {STUDY.figures[name].title or name}"
    # Snakemake looks for wildcards in labels whatever they are, and a browser for the end of its script. A sign that is not seen
    # keeps both from finding any.
    return re.sub("[{<]", "\\g<0>\N{WORD JOINER}", label)


def verbatim(text):
    """A parameter that is a text of the user's: in what is a function's Snakemake looks for no wildcards."""
    return lambda wildcards: text


def as_text(text):
    """A text for a caption of the report, in which no sign means anything to reStructuredText."""
    return "\n".join(re.sub(r"([^\w\s]|_)", r"\\\1", line.strip()) for line in text.splitlines())
