def figure_inputs(wildcards):
    figure = STUDY.figures[wildcards.figure]
    if figure.landscape is not None:
        return [f"{STORE}/landscapes/{job.id}.npz" for _, job in EXPANSION.landscapes[figure.landscape]]
    jobs = [EXPANSION.measurements[id] for id in EXPANSION.measurements_of(figure)]
    return [
        *(f"{STORE}/runs/{run}/result.json" for run in EXPANSION.runs_of(figure)),
        *(f"{STORE}/measurements/{job.run}/{job.id}.json" for job in jobs),
    ]


def figure_label(wildcards):
    # The report sorts by label: the place in the study comes first.
    place = list(STUDY.figures).index(wildcards.figure) + 1
    return f"{place:02}. {STUDY.figures[wildcards.figure].title or wildcards.figure}"
