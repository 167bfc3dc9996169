"""Edits of the small study that make it a bad one, and how the refusal begins after the name of the file."""

from __future__ import annotations

from typing import Any

from tests.study.samples import STUDY

RHO = "    rho: [0, 0.1]\n"
FIGURE = "  curve: {experiments: [main], x: rho, columns: activation, lines: method}\n"

# Edits of the small study, and how the refusal of the outcome begins after the name of the file.
BAD: dict[str, tuple[Any, ...]] = {
    "unknown key": (
        ("learning_rate: 0.1", "learning_rate: 0.1, momentun: 0.9"),
        "setups.mlp.optimizer: unknown key 'momentun'; did you mean 'momentum'?",
    ),
    "misspelt required key": (
        ("learning_rate", "learning_rat"),
        "setups.mlp.optimizer: unknown key 'learning_rat'; did you mean 'learning_rate'?",
    ),
    "difference that products drown in rounding": (
        ("[sam, psam]", "[{name: psam_fd, step: [0.01, 0.004]}]"),
        ("batch_size: 16", "batch_size: 16, matmul_precision: tensorfloat32"),
        "experiments.main.methods: 'psam_fd' subtracts gradients 0.004 apart, which the products of setup 'mlp', in tens",
    ),
    "difference by default that products drown in rounding": (
        ("[sam, psam]", "[psam_fd]"),
        ("batch_size: 16", "batch_size: 16, matmul_precision: bfloat16"),
        "experiments.main.methods: 'psam_fd' subtracts gradients 0.01 apart",
    ),
    "optimizer that there is not": (
        ("learning_rate: 0.1", "name: adamww, learning_rate: 0.1"),
        "setups.mlp.optimizer.name: unknown optimizer 'adamww'; did you mean 'adamw'?",
    ),
    "option of another optimizer": (
        ("learning_rate: 0.1", "learning_rate: 0.1, b1: 0.9"),
        "setups.mlp.optimizer.b1: is an option of 'adam', 'adamw', and the name is 'sgd'; remove it",
    ),
    "momentum of AdamW": (
        ("learning_rate: 0.1", "name: adamw, learning_rate: 0.1, momentum: 0.9"),
        "setups.mlp.optimizer.momentum: is an option of 'sgd', and the name is 'adamw'; remove it",
    ),
    "beta of AdamW": (
        ("learning_rate: 0.1", "name: adamw, learning_rate: 0.1, b2: 1"),
        "setups.mlp.optimizer.b2: 1 is not below 1",
    ),
    "optimizer without a learning rate": (
        ("learning_rate: 0.1", "name: adamw"),
        "setups.mlp.optimizer: the key 'learning_rate' is missing",
    ),
    "misspelt section": (("\nsetups:", "\nsetup:"), "unknown key 'setup'; did you mean 'setups'?"),
    "misspelt part of a setup": (("    data:", "    dta:"), "setups.mlp: unknown key 'dta'; did you mean 'data'?"),
    "misspelt part of an experiment": (
        ("    rho:", "    roh:"),
        "experiments.main: unknown key 'roh'; did you mean 'rho'?",
    ),
    "misspelt part of a figure": (
        ("columns:", "colums:"),
        "figures.curve: unknown key 'colums'; did you mean 'columns'?",
    ),
    "misspelt option of an entry": (
        ("[gelu, relu]", "[{name: gelu, second_derivatve: zero}]"),
        "experiments.main.activations[0]: unknown key 'second_derivatve'; did you mean 'second_derivative'?",
    ),
    "option of a second derivative": (
        ("[gelu, relu]", "[{name: gelu, second_derivative: {name: gaussian, bta: 1}}]"),
        "experiments.main.activations[0].second_derivative: unknown key 'bta'; did you mean 'beta'?",
    ),
    "option of what has none": (
        ("    training:", "    loss: {name: mse, scale: 1}\n    training:"),
        "setups.mlp.loss: unknown key 'scale'; 'mse' has no options",
    ),
    "missing key": (("epochs: 1, ", ""), "setups.mlp.training: the key 'epochs' is missing"),
    "missing section": (("version: 1\n", ""), "the key 'version' is missing"),
    "newer version": (
        ("version: 1", "version: 2"),
        "version: 2 is newer than this nmepkg understands (1); update nmepkg",
    ),
    "newer version, not whole": (("version: 1", "version: 2.5"), "version: 2.5 is newer than this nmepkg understands"),
    "version 0": (("version: 1", "version: 0"), "version: unknown version 0; this nmepkg understands 1"),
    "unknown method": (
        ("[sam, psam]", "[sam, psan]"),
        "experiments.main.methods[1]: unknown method 'psan'; did you mean 'psam'?",
    ),
    "unknown activation": (
        ("[gelu, relu]", "[{name: swish}]"),
        "experiments.main.activations[0].name: unknown activation 'swish'; choose from relu, leaky_relu, silu",
    ),
    "unknown model": (("name: mlp,", "name: mpl,"), "setups.mlp.model.name: unknown model 'mpl'; did you mean 'mlp'?"),
    "unknown data": (
        ("name: mnist1d", "name: svhn"),
        "setups.mlp.data.name: unknown data 'svhn'; choose from mnist1d",
    ),
    "unknown option": (
        ("width: 4", "widht: 4"),
        "setups.mlp.model: unknown key 'widht'; did you mean 'width'?",
    ),
    "missing option": (
        ("[gelu, relu]", "[beta_gelu]"),
        "experiments.main.activations[0]: the key 'beta' is missing",
    ),
    "unknown second derivative": (
        ("[gelu, relu]", "[{name: gelu, second_derivative: zeros}]"),
        "experiments.main.activations[0].second_derivative: unknown second derivative 'zeros'; did you mean 'zero'?",
    ),
    "entry without name": (
        ("[sam, psam]", "[{m: 4}]"),
        "experiments.main.methods[0]: the key 'name' is missing; it names one of sgd, sam",
    ),
    "wrong type": (
        ("learning_rate: 0.1", "learning_rate: fast"),
        "setups.mlp.optimizer.learning_rate: 'fast' is not a number",
    ),
    "true is no number": (("epochs: 1", "epochs: true"), "setups.mlp.training.epochs: true is not a whole number"),
    "nothing where something is due": (
        ("data: {name: mnist1d, samples: 200}", "data:"),
        "setups.mlp.data: null is not text or a mapping",
    ),
    "decimal comma": (
        ("learning_rate: 0.1", "learning_rate: 0,5"),
        "line 7: the key 5 is not text; put it in quotes, or if it is the end of a number, write 0.5 for 0,5",
    ),
    "warm-up longer than training": (
        ("learning_rate: 0.1", "learning_rate: 0.1, warmup_epochs: 1.5"),
        "setups.mlp.optimizer.warmup_epochs: 1.5 is more than the 1 of training.epochs",
    ),
    "samples of a class": (
        ("samples: 200", "samples: 205"),
        "setups.mlp.data.samples: 205 is not a multiple of 10",
    ),
    "half an epoch": (("epochs: 1", "epochs: 1.5"), "setups.mlp.training.epochs: 1.5 is not a whole number"),
    "text for a list": (("setups: [mlp]", "setups: mlp"), "experiments.main.setups: 'mlp' is not a list"),
    "not a choice": (
        ("learning_rate: 0.1", "learning_rate: 0.1, decayed: kernel"),
        "setups.mlp.optimizer.decayed: unknown value 'kernel'; did you mean 'kernels'?",
    ),
    "negative strength": (
        ("[0, 0.1]", "[0, 0.1, -0.1]"),
        "experiments.main.rho[2]: -0.1 is below the smallest allowed value, 0",
    ),
    "not a number": (("[0, 0.1]", "[0, .nan]"), "experiments.main.rho[1]: nan is not a finite number"),
    "infinite": (("[0, 0.1]", "[0, .inf]"), "experiments.main.rho[1]: inf is not a finite number"),
    "beyond floats": (("[0, 0.1]", "[0, 1e999]"), "experiments.main.rho[1]: inf is not a finite number"),
    "beyond floats, whole": (("[0, 0.1]", f"[{10**400}]"), "line 14: a whole number of 401 digits is too large"),
    "beyond whole numbers": (
        ("epochs: 1", "epochs: 1e19"),
        "setups.mlp.training.epochs: 1e+19 is not a whole number; write, say, 1",
    ),
    "huge seed": (
        ("seeds: [0, 1]", "seeds: [4294967296]"),
        "experiments.main.seeds[0]: 4294967296 is above the largest allowed value, 4294967295",
    ),
    "repeated strength": (("[0, 0.1]", "[0, 0.1, 0.0]"), "experiments.main.rho: 0.0 is listed twice"),
    "repeated seed": (("seeds: [0, 1]", "seeds: [1, 1]"), "experiments.main.seeds: 1 is listed twice"),
    "repeated method": (
        ("[sam, psam]", "[sam, {name: sam}]"),
        "experiments.main.methods[1]: 'sam' with these options is listed twice",
    ),
    "repeated under a label": (
        ("[gelu, relu]", "[gelu, {name: gelu, label: Other}]"),
        "experiments.main.activations[1]: 'gelu' with these options is listed twice",
    ),
    "repeated with its defaults": (
        ("[sam, psam]", "[sam, {name: sam, m: null}]"),
        "experiments.main.methods[1]: 'sam' with these options is listed twice",
    ),
    "repeated in a grid": (
        ("[gelu, relu]", "[{name: beta_gelu, beta: [1, 1.0]}]"),
        "experiments.main.activations[0]: 'beta_gelu' with these options is listed twice",
    ),
    "empty list": (("seeds: [0, 1]", "seeds: []"), "experiments.main.seeds: is empty; give at least one value"),
    "empty grid": (
        ("[gelu, relu]", "[{name: beta_gelu, beta: []}]"),
        "experiments.main.activations[0].beta: is empty; give at least one value",
    ),
    "no strengths": (
        (RHO, ""),
        "experiments.main: the key 'rho' is missing; the method 'psam' takes its values as strengths",
    ),
    "strengths for none": (
        ("[sam, psam]", "[sgd]"),
        "experiments.main.rho: no method of this experiment takes it; remove it",
    ),
    "group": (
        ("[sam, psam]", "[{name: sam, m: 5}]"),
        "experiments.main.methods: groups of m = 5 do not divide the batch of 16 of setup 'mlp'; choose a divisor",
    ),
    "unknown setup": (
        ("setups: [mlp]", "setups: [mpl]"),
        "experiments.main.setups[0]: unknown setup 'mpl'; did you mean 'mlp'?",
    ),
    "unknown experiment": (
        ("experiments: [main]", "experiments: [mian]"),
        "figures.curve.experiments[0]: unknown experiment 'mian'; did you mean 'main'?",
    ),
    "unknown axis": (("x: rho", "x: roh"), "figures.curve.x: no axis 'roh' in its experiments; did you mean 'rho'?"),
    "unknown kind of figure": (
        ("x: rho,", "x: rho, kind: histogram,"),
        "figures.curve.kind: unknown value 'histogram'; choose from curve, landscape, plane",
    ),
    "unknown metric": (
        ("x: rho,", "x: rho, y: accuracy,"),
        "figures.curve.y: unknown value 'accuracy'; did you mean 'test_accuracy'?",
    ),
    "x without numbers": (
        ("x: rho, columns: activation", "x: activation, columns: rho"),
        "figures.curve.x: the values of 'activation' are not all numbers; choose a strength or a numeric option",
    ),
    "x partly without numbers": (
        ("[sam, psam]", "[{name: sam, m: [4, null]}]"),
        ("x: rho, columns: activation, lines: method", "x: m, columns: activation, lines: rho"),
        "figures.curve.x: the values of 'm' are not all numbers",
    ),
    "x off a logarithmic axis": (
        ("[gelu, relu]", "[{name: leaky_relu, negative_slope: [0, 0.1]}]"),
        ("x: rho, columns: activation", "x: negative_slope, columns: rho"),
        "figures.curve.x: negative_slope = 0.0 has no place on a logarithmic axis; give values above 0",
    ),
    "x with nothing to draw": (
        ("[0, 0.1]", "[0]"),
        "figures.curve.x: 'rho' has no strength above 0 to draw; give at least one",
    ),
    "a figure too narrow": (
        ("[gelu, relu]", "[gelu, relu, silu, tanh]"),
        ("lines: method}", "lines: method, width: 2}"),
        "figures.curve.width: 2 inches have no room for 4 panels side by side; give it at least 2.3",
    ),
    "differences between no lines": (
        ("lines: method}", "rows: method, differences: first_line}"),
        "figures.curve.differences: 'first_line' needs lines to compare; name them, but not 'quantity'",
    ),
    "differences to a strength of no axis": (
        ("[gelu, relu]", "[{name: beta_gelu, beta: [1, 2]}]"),
        ("x: rho, columns: activation", "x: beta, columns: rho, differences: strength_0"),
        "figures.curve.differences: 'strength_0' needs a strength on x, not 'beta'; choose 'first_line'",
    ),
    "report without validation": (
        ("    training:", "    validation: {fraction: 0}\n    training:"),
        ("x: rho,", "x: rho, report: best_validation,"),
        "figures.curve.report: 'best_validation' needs validation examples, and setups.mlp.validation.fraction leaves none",
    ),
    "metric without validation": (
        ("    training:", "    validation: {fraction: 0}\n    training:"),
        ("x: rho,", "x: rho, y: validation_loss,"),
        "figures.curve.y: 'validation_loss' needs validation examples, and setups.mlp.validation.fraction leaves none; raise",
    ),
    "axis twice": (
        ("columns: activation", "columns: method"),
        "figures.curve.columns: the axis 'method' is shown twice; name it once",
    ),
    "axis not shown": (
        ("columns: activation, ", ""),
        "figures.curve: its experiments have 2 values of 'activation'; give it to rows, columns or lines",
    ),
    "target of the workflow": (
        ("  curve:", "  train:"),
        "figures.train: is another target or file of the workflow; rename",
    ),
    "target in capitals": (
        ("  curve:", "  Train:"),
        "figures.Train: is another target or file of the workflow; rename",
    ),
    "file of the workflow": (
        ("  curve:", "  versions:"),
        "figures.versions: is another target or file of the workflow; rename the figure",
    ),
    "figures that differ only in case": (
        (FIGURE, FIGURE + FIGURE.replace("curve", "Curve")),
        "figures.Curve: differs from 'curve' only in case, as files may not; rename one of them",
    ),
    "experiments that differ only in case": (
        ("figures:\n", "  Main: {setups: [mlp], methods: [sgd], activations: [gelu], seeds: [0]}\nfigures:\n"),
        "experiments.Main: differs from 'main' only in case",
    ),
    "a figure named as another's rule but for case": (
        (FIGURE, FIGURE + FIGURE.replace("curve", "Draw_Curve")),
        "figures.Draw_Curve: is the rule that draws 'curve'; rename the figure",
    ),
    "too small for single precision": (
        ("[0, 0.1]", "[0, 1e-320]"),
        "experiments.main.rho[1]: 9.99989e-321 is too small to compute with in single precision; write 0, or a larger one",
    ),
    "too large for single precision": (
        ("learning_rate: 0.1", "learning_rate: 1e300"),
        "setups.mlp.optimizer.learning_rate: 1e+300 is too large to compute with in single precision; write a smaller",
    ),
    "a line break in what is quoted": (
        ("seeds: [0, 1]", 'seeds: "0\\n1"'),
        r"experiments.main.seeds: '0\n1' is not a list; write, say, [0\n1]",
    ),
    "seed of the data": (
        ("samples: 200", "samples: 200, seed: 4294967296"),
        "setups.mlp.data.seed: 4294967296 is above the largest allowed value, 4294967295",
    ),
    "more steps than are counted": (
        ("epochs: 1", "epochs: 2147483647"),
        "setups.mlp.training.epochs: the training would have 1.9e+10 steps, and at most 2.1e+09 can be counted; lower it",
    ),
    "data beyond memory": (
        ("samples: 200", "samples: 2147483640"),
        "setups.mlp.data: its examples are 8.6e+10 numbers, more than memory holds; make it smaller",
    ),
    "test examples beyond memory": (
        ("samples: 200", "samples: 200, test: 2147483640"),
        "setups.mlp.data: its examples are 8.6e+10 numbers, more than memory holds; make it smaller",
    ),
    "no test examples": (
        ("samples: 200", "samples: 200, test: 0"),
        "setups.mlp.data.test: 0 is below the smallest allowed value, 1",
    ),
    "a title of many lines": (
        ("x: rho,", f"x: rho, title: {'long ' * 61},"),
        "figures.curve.title: 'long long long long …' is longer than 300 characters; shorten it",
    ),
    "a long label": (
        ("[gelu, relu]", f"[{{name: gelu, label: {'long ' * 21}}}]"),
        "experiments.main.activations[0].label: 'long long long long long long long long long long long l… is longer than 100",
    ),
    "path in a name": (("name: tiny", "name: ../tiny"), "name: '../tiny' is not a name; use letters, digits, '_' and"),
    "path in a figure": (("  curve:", "  a/b:"), "figures: 'a/b' is not a name; use letters, digits"),
    "line break in a name": (("name: tiny", 'name: "tiny\\n"'), "name: 'tiny\\n' is not a name"),
    "name beyond ASCII": (("name: tiny", "name: étude"), "name: 'étude' is not a name; use letters, digits, '_' and"),
    "name beyond file names": (
        ("  curve:", f"  {'c' * 101}:"),
        "figures: 'cccccccccccccccccccc…' is longer than 100 characters",
    ),
    "nothing in a section": (
        (STUDY[STUDY.index("setups:") : STUDY.index("experiments:")], "setups: {}\n"),
        "setups: is empty; name at least one",
    ),
    "wildcard in the store": (
        ("name: tiny", "name: tiny\nstore: 'results/{x}'"),
        "store: 'results/{x}' is not a plain path; use letters, digits and . / _ -",
    ),
    "option in the store": (("name: tiny", "name: tiny\nstore: -rf"), "store: '-rf' is not a plain path"),
    "label": (
        ("[gelu, relu]", "[{name: gelu, label: 3}]"),
        "experiments.main.activations[0].label: 3 is not text",
    ),
    "too many": (
        ("name: tiny", "name: tiny\nlimit_runs: 15"),
        "limit_runs: the experiments ask for 16 runs, more than 15; raise it if you mean it",
    ),
    "a strength of a method": (
        ("[sam, psam]", "[{name: sam, rho: 0.1}, psam]"),
        "experiments.main.methods[0].rho: is a key of the experiment, of all its methods; write rho: [0.1] there",
    ),
    "how many seeds": (
        ("seeds: [0, 1]", "seeds: 5"),
        "experiments.main.seeds: 5 is not a list; write [5] for this seed, or [0, 1, 2, 3, 4] for five",
    ),
    "one value for a list": (
        ("rho: [0, 0.1]", "rho: 0.1"),
        "experiments.main.rho: 0.1 is not a list; write, say, [0.1]",
    ),
    "a grid in a setup": (
        ("learning_rate: 0.1", "learning_rate: [0.1, 0.2]"),
        "setups.mlp.optimizer.learning_rate: [0.1, 0.2] is not a number; a setup has one value of everything: write a setup",
    ),
    "hours with a unit": (
        ("    training:", "    resources: {hours: 24h}\n    training:"),
        "setups.mlp.resources.hours: '24h' is not a number; write 24, which is in hours",
    ),
    "memory with a unit": (
        ("    training:", "    resources: {memory_gb: 1.5 GB}\n    training:"),
        "setups.mlp.resources.memory_gb: '1.5 GB' is not a number; write 1.5, which is in gigabytes",
    ),
    "a variable that is not set": (
        ("name: tiny", "name: tiny\nstore: ${NO_SUCH}/x"),
        "store: the variable ${NO_SUCH} is not set; set it, or write the folder's path",
    ),
    "a list in itself": (("[0, 0.1]", "&a [*a]"), "line 14: the alias 'a' is part of what it stands for"),
    "too many by options": (
        ("[sam, psam]", f"[{{name: nme_trace, samples: {list(range(1, 3001))}, m: {list(range(1, 3001))}}}]"),
        ("rho: [0, 0.1]", "sigma2: [0.1, 0.2]"),
        "limit_runs: the experiments ask for 72000000 runs, more than 10000; raise it if you mean it",
    ),
    "too many, whatever else is wrong": (
        ("[sam, psam]", f"[{{name: nme_trace, samples: {list(range(1, 3001))}, m: {list(range(1, 3001))}}}]"),
        ("[gelu, relu]", "[{beta: 3}, {name: [], beta: 3}]"),
        "limit_runs: the experiments ask for 36000000 runs",
    ),
    "too many panels": (
        (
            "figures:\n",
            f"landscapes:\n  plane: {{activations: [{{name: beta_gelu, beta: {list(range(1, 10002))}}}], "
            "model: {name: mlp, width: 4, depth: 1}, inputs: 3, weights: [[0, 0], [1, 0]], range: [-1, 1]}\nfigures:\n",
        ),
        "limit_runs: the landscapes ask for 10001 panels, more than 10000; raise it if you mean it",
    ),
    "no text": (
        ("learning_rate: 0.1", "learning_rate: [a, b]"),
        "setups.mlp.optimizer.learning_rate: ['a', 'b'] is not",
    ),
    "long value": (
        ("learning_rate: 0.1", f"learning_rate: {'x' * 1000}"),
        f"setups.mlp.optimizer.learning_rate: '{'x' * 56}… is not a number",
    ),
    "many of two kinds, and one twice": (
        ("seeds: [0, 1]", f"seeds: [{', '.join(map(str, range(4_000)))}, x, x]"),
        "experiments.main.seeds: 'x' is listed twice; remove one",
    ),
    "text that cannot be written": (
        ("model: {name: mlp", 'title: "\\uD800"\n    model: {name: mlp'),
        r"setups.mlp.title: '\ud800' holds a character that cannot be written; remove it",
    ),
    "key with a line break": (
        ("[0, 0.1]", '[0, 0.1]\n    "r\\no": .nan'),
        r"experiments.main.r\no: nan is not a finite number; write one that is",
    ),
    "measurement of none": (
        ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [traces]"),
        "experiments.main.measurements[0]: unknown measurement 'traces'; the study has none, so add it",
    ),
    "one weight": (
        (
            "figures:\n",
            "landscapes:\n  plane: {activations: [relu], model: {name: mlp, width: 4, depth: 1}, inputs: 3, "
            "weights: [[0, 0]], range: [-1, 1]}\nfigures:\n",
        ),
        "landscapes.plane.weights: has 1 value; give 2",
    ),
    "where nothing is measured": (
        ("experiments:\n", "measurements:\n  traces: {kind: traces, at: [begin]}\nexperiments:\n"),
        "measurements.traces.at[0]: 'begin' is none of initial, final, a whole number from 1, a share as 40%; write one",
    ),
    "figure named as another's rule": (
        (FIGURE, FIGURE + FIGURE.replace("curve", "draw_curve")),
        "figures.draw_curve: is the rule that draws 'curve'; rename the figure",
    ),
}
