"""Bad studies, as text, and the line in which each is refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.study import samples
from tests.workflow.project import STUDY

FIGURE = "curve: {experiments: [main], x: rho}"
NUMBERS = list(range(1, 5001))
LANDSCAPE = """\
landscapes:
  plane: {model: {name: mlp, width: 4, depth: 1}, inputs: 3, activations: [relu], weights: [[0, 0], [3, 1]], range: [-1, 1]}
"""
LAUGHS = "a: &a0 [ha]\n" + "".join(f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))


edited = partial(samples.edited, text=STUDY)


def measured(measurement: str, *edits: tuple[str, str]) -> str:
    section = f"measurements:\n  step: {{{measurement}}}\nexperiments:\n"
    return edited(("seeds: [0]", "seeds: [0], measurements: [step]"), ("experiments:\n", section), *edits)


def put(content: str | bytes | None, file: Path) -> None:
    """Has a file hold a study, or not be there."""
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)


IMAGENET = edited(("{name: mnist1d, samples: 200}", "imagenet2012"), ("{name: mlp, width: 4, depth: 1}", "resnet"))

# What the file holds (None: there is none), how the line begins after the file's name, and words of its remedy.
STUDIES: dict[str, tuple[str | bytes | None, str, str]] = {
    # Files that are no study
    "no file": (None, "cannot be read: No such file", "check the name"),
    "not UTF-8": ("name: étude\n".encode("latin-1"), "not UTF-8", "save it as UTF-8"),
    "binary": (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}", "not UTF-8", "save it as UTF-8"),
    "empty": ("", "a study is a mapping", "with 'version', 'name', 'setups'"),
    "a list": ("- version: 1\n", "a study is a mapping", "this file is a list"),
    "a scalar": ("version\n", "a study is a mapping", "this file is text"),
    "two documents": (STUDY + "---\n" + STUDY, "line 13: but found another document", "remove the line '---'"),
    "a tab": (edited(("  mlp:", "\tmlp:")), "line 4: a tab", "put spaces there"),
    "an open bracket": (edited(("seeds: [0]}", "seeds: [0}")), "line 10: expected ',' or ']'", "close the bracket"),
    # Keys twice, aliases
    "a key twice": (STUDY + "name: again\n", "line 13: the key 'name' appears twice", "remove one"),
    "a nested key twice": (
        edited(("batch_size: 16", "batch_size: 16, epochs: 2")),
        "line 8: the key 'epochs' appears twice",
        "remove one",
    ),
    "an alias to nothing": (edited(("[0, 0.1]", "*grid")), "line 10: found undefined alias 'grid'", "write &name"),
    "an alias to itself": (
        edited(("[0, 0.1]", "&grid [*grid]")),
        "line 10: the alias 'grid' is part of what it stands for",
        "write the value out",
    ),
    "a billion laughs": (f"{LAUGHS}{STUDY}", "line 6: more than 50,000 values", "write fewer"),
    "brackets in brackets": ("name: " + "[" * 100_000, "line 1: more than 50 levels deep", "close brackets"),
    # Numbers
    "not a number": (edited(("[0, 0.1]", "[0, .nan]")), "experiments.main.rho[1]: nan", "write one that is"),
    "infinite": (edited(("[0, 0.1]", "[0, .inf]")), "experiments.main.rho[1]: inf", "write one that is"),
    "beyond floats": (edited(("[0, 0.1]", "[0, 1e400]")), "experiments.main.rho[1]: inf", "write one that is"),
    "5000 digits": (edited(("epochs: 1", f"epochs: {'9' * 5000}")), "line 8: a whole number of 5000 digits", "smaller"),
    "true for a number": (edited(("epochs: 1", "epochs: true")), "setups.mlp.training.epochs: true", "write, say, 1"),
    "negative strength": (edited(("[0, 0.1]", "[0, -1]")), "experiments.main.rho[1]: -1", "smallest allowed value, 0"),
    "huge seed": (
        edited(("seeds: [0]", "seeds: [4294967296]")),
        "experiments.main.seeds[0]: 4294967296 is above",
        "largest allowed value, 4294967295",
    ),
    # Keys and types
    "unknown key": (edited(("\nsetups:", "\nsetup:")), "unknown key 'setup'", "did you mean 'setups'?"),
    "unknown nested key": (
        edited(("learning_rate", "lerning_rate")),
        "setups.mlp.optimizer: unknown key 'lerning_rate'",
        "did you mean 'learning_rate'?",
    ),
    "missing key": (edited(("epochs: 1, ", "")), "setups.mlp.training: the key 'epochs' is missing", "add it"),
    "wrong type": (
        edited(("learning_rate: 0.1", "learning_rate: fast")),
        "setups.mlp.optimizer.learning_rate: 'fast' is not a number",
        "write, say, 0.1",
    ),
    "empty list": (edited(("seeds: [0]", "seeds: []")), "experiments.main.seeds: is empty", "give at least one value"),
    "repeated seed": (
        edited(("seeds: [0]", "seeds: [0, 0]")),
        "experiments.main.seeds: 0 is listed twice",
        "remove one",
    ),
    # Names of what there is
    "unknown data": (
        edited(("mnist1d", "minst1d")),
        "setups.mlp.data.name: unknown data 'minst1d'",
        "did you mean 'mnist1d'?",
    ),
    "unknown model": (
        edited(("{name: mlp,", "{name: lstm,")),
        "setups.mlp.model.name: unknown model 'lstm'",
        "choose from mlp, resnet1d",
    ),
    "unknown loss": (
        edited(("    model", "    loss: hinge\n    model")),
        "setups.mlp.loss: unknown loss 'hinge'",
        "choose from cross_entropy, mse",
    ),
    "unknown method": (
        edited(("[sam]", "[ssam]")),
        "experiments.main.methods[0]: unknown method 'ssam'",
        "did you mean 'sam'?",
    ),
    "unknown activation": (
        edited(("[relu]", "[swish]")),
        "experiments.main.activations[0]: unknown activation 'swish'",
        "choose from relu, leaky_relu",
    ),
    "unknown kind of measurement": (
        measured("kind: trace"),
        "measurements.step.kind: unknown measurement 'trace'",
        "did you mean 'traces'?",
    ),
    "unknown kind of figure": (
        edited(("x: rho}", "x: rho, kind: histogram}")),
        "figures.curve.kind: unknown value 'histogram'",
        "choose from curve, landscape",
    ),
    "unknown setup": (
        edited(("setups: [mlp]", "setups: [mpl]")),
        "experiments.main.setups[0]: unknown setup 'mpl'",
        "did you mean 'mlp'?",
    ),
    # What does not go together
    "no strengths": (edited(("rho: [0, 0.1], ", "")), "experiments.main: the key 'rho' is missing", "so add it"),
    "strengths for no method": (edited(("[sam]", "[sgd]")), "experiments.main.rho: no method", "remove it"),
    "groups that do not fit": (
        edited(("[sam]", "[{name: sam, m: 5}]")),
        "experiments.main.methods: groups of m = 5 do not divide the batch of 16",
        "choose a divisor",
    ),
    "warm-up longer than training": (
        edited(("learning_rate: 0.1", "learning_rate: 0.1, warmup_epochs: 2")),
        "setups.mlp.optimizer.warmup_epochs: 2 is more than the 1 of training.epochs",
        "shorten it",
    ),
    "a batch beyond the examples": (
        edited(("batch_size: 16", "batch_size: 145")),
        "setups.mlp.training.batch_size: 145 is more than the 144 examples to train on",
        "lower it",
    ),
    "a subset beyond the examples": (
        edited(("    model", "    subset: {train: 145}\n    model")),
        "setups.mlp.subset.train: 145 is more than the 144 examples that there are",
        "lower it",
    ),
    "parts that do not divide a batch": (
        edited(("batch_size: 16", "batch_size: 16, accumulate: 5")),
        "setups.mlp.training.accumulate: 5 parts do not divide the batch of 16",
        "choose a divisor",
    ),
    "BatchNorm's groups without BatchNorm": (
        edited(("batch_size: 16", "batch_size: 16, batch_norm_group: 4")),
        "setups.mlp.training.batch_norm_group: the model 'mlp' has no BatchNorm",
        "set it to null",
    ),
    "augmentation of no images": (
        edited(("    model", "    augmentation: pad_crop_flip\n    model")),
        "setups.mlp.augmentation: 'pad_crop_flip' needs images",
        "choose 'none'",
    ),
    "augmentation for streamed data": (
        edited(("    model", "    augmentation: resized_crop_flip\n    model")),
        "setups.mlp.augmentation: 'resized_crop_flip' is not for 'mnist1d'",
        "choose from none",
    ),
    "a model of images without images": (
        edited(("{name: mlp, width: 4, depth: 1}", "{name: wide_resnet, depth: 10, width: 1}")),
        "setups.mlp.model: 'wide_resnet' does not take the examples of 'mnist1d'",
        "choose from mlp, resnet1d",
    ),
    "a depth that no wide network has": (
        edited(
            ("mnist1d, samples: 200", "cifar10"),
            ("{name: mlp, width: 4, depth: 1}", "{name: wide_resnet, depth: 12, width: 1}"),
        ),
        "setups.mlp.model.depth: 12 is not 6 n + 4",
        "take 10, 16, 22, 28",
    ),
    "a source of what has none": (
        edited(("name: tiny", "name: tiny\nsources: {mnist1d: data}")),
        "sources.mnist1d: 'mnist1d' is made from nothing",
        "remove it",
    ),
    "a source of an unknown data set": (
        edited(("name: tiny", "name: tiny\nsources: {imagenet: data}")),
        "sources.imagenet: unknown data set 'imagenet'",
        "did you mean 'imagenet2012'?",
    ),
    "an unknown selection": (
        edited(("name: tiny", "name: tiny\nselect: [mpl]")),
        "select[0]: unknown setup 'mpl'",
        "did you mean 'mlp'?",
    ),
    "smoke that is neither": (
        edited(("name: tiny", "name: tiny\nsmoke: 3")),
        "smoke: 3 is not true or false",
        "say, true",
    ),
    # Data
    "ImageNet without its folder": (
        IMAGENET,
        "sources.imagenet2012: missing, and nobody but you can download 'imagenet2012'",
        "write sources: {imagenet2012: FOLDER}",
    ),
    "ImageNet in a folder that is none": (
        IMAGENET.replace("name: tiny", "name: tiny\nsources: {imagenet2012: /no/such folder}"),
        "sources.imagenet2012: /no/such folder is no folder",
        "name that of the data set's prepared files",
    ),
    "archives in a folder that is none": (
        edited(("{name: mnist1d, samples: 200}", "cifar10"), ("name: tiny", "name: tiny\nsources: {cifar10: nowhere}")),
        "sources.cifar10: nowhere is no folder",
        "name that of the data set's archives",
    ),
    "a step beyond the last one": (
        measured("kind: alignment, at: [10]"),
        "experiments.main.measurements[0]: 'step' measures at step 10, beyond the 9 of setup 'mlp'",
        "lower it, or write a share, as 40%",
    ),
    "no validation to measure": (
        measured("kind: alignment, split: validation", ("    model", "    validation: {fraction: 0}\n    model")),
        "experiments.main.measurements[0]: 'step' needs validation examples",
        "setups.mlp.validation.fraction leaves none; raise it",
    ),
    "weights that are not there": (
        edited(("figures:\n", f"{LANDSCAPE}figures:\n")),
        "landscapes.plane.weights[1]: input 3 of [3, 1] is not in layer 1",
        "from 0 to 2",
    ),
    # Names, which become files
    "setup beyond ASCII": (edited(("  mlp:", "  réseau:")), "setups: 'réseau' is not a name", "use letters"),
    "experiment beyond ASCII": (edited(("main: {", "größe: {")), "experiments: 'größe' is not a name", "use letters"),
    "figure beyond ASCII": (edited(("curve:", "φ:")), "figures: 'φ' is not a name", "use letters"),
    "study beyond ASCII": (edited(("name: tiny", "name: 研究")), "name: '研究' is not a name", "use letters"),
    "study elsewhere": (edited(("name: tiny", "name: ../x")), "name: '../x' is not a name", "use letters"),
    "figure elsewhere": (edited(("curve:", "../x:")), "figures: '../x' is not a name", "use letters"),
    "blank in the store": (edited(("name: tiny", "name: tiny\nstore: a b")), "store: 'a b'", "without blanks"),
    "wildcard in the store": (edited(("name: tiny", "name: tiny\nstore: '{x}'")), "store: '{x}'", "without blanks"),
    "figure named as a target": (edited(("curve:", "all:")), "figures.all: is another target", "rename the figure"),
    "figure without its axis": (
        edited(("[relu]", "[relu, gelu]")),
        "figures.curve: its experiments have 2 values of 'activation'",
        "give it to rows, columns or lines",
    ),
    # Versions
    "of a newer version": (
        edited(("version: 1", "version: 999\nseeds: many")),
        "version: 999 is newer",
        "update nmepkg",
    ),
    "of version 0": (
        edited(("version: 1", "version: 0")),
        "version: unknown version 0",
        "understands 1, so write that",
    ),
    "of version one": (edited(("version: 1", "version: one")), "version: 'one' is not a whole number", "write, say, 1"),
    # Grids
    "huge grid": (
        edited(("[0, 0.1]", str(NUMBERS)), ("seeds: [0]", f"seeds: {NUMBERS}")),
        "limit_runs: the experiments ask for 25000000 runs, more than 10000",
        "raise it if you mean it",
    ),
    "huge grid of options": (
        edited(
            ("[sam]", f"[{{name: nme_trace, samples: {NUMBERS[:1000]}, m: {NUMBERS}, probe: [gaussian, rademacher]}}]"),
            ("rho: [0, 0.1]", "sigma2: [0.1]"),
        ),
        "limit_runs: the experiments ask for 10000000 runs, more than 10000",
        "raise it if you mean it",
    ),
}

# One of each kind, for what is slow.
EACH_KIND = (
    "no file", "binary", "a billion laughs", "a key twice", "not a number", "unknown nested key", "no strengths",
    "ImageNet without its folder", "setup beyond ASCII", "wildcard in the store", "figure without its axis",
    "of a newer version", "huge grid",
)  # fmt: skip
