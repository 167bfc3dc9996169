"""What this lab has for studies. Nothing is computed here, and nothing heavy imported."""

from nmepkg.entries import Data, Entry, Measurement, Method, Model, Strength
from nmepkg.fragments import integer, positive


def _even(spec):
    if spec["width"] % 2:
        raise ValueError(f"width is {spec['width']}, and its two halves are alike; make it even")


STRENGTHS = {"tau": Strength("τ", "temperatures τ of tilted steps", (0, 0.5), 0.5, "temperature")}
ACTIVATIONS = {"mish": Entry("mylab.activations:mish", {"sharpness": positive("s of s x", default=1.0)}, label="Mish")}
SECOND_DERIVATIVES = {"box": Entry("mylab.activations:box", {"width": positive("of the box")}, label="box φ″")}
METHODS = {"tilted": Method("mylab.methods:tilted", strength="tau", cost=1.1, label="Tilted")}
MODELS = {
    "two_halves": Model(
        "mylab.models:TwoHalves",
        {"width": integer("features of both halves together", 2)},
        batch_norm=False,
        small={"width": 4},
        check=_even,
    )
}
DATASETS = {
    "table": Data(
        "mylab.data:prepare",
        {"test": integer("rows at the end that are the test set", 1, default=32)},
        (3,),
        2,
        lambda spec: (128 - spec["test"], spec["test"]),
        "files",
    )
}
OPTIMIZERS = {"damped": Entry("mylab.optimizers:damped", {"damping": positive("of steps")}, label="Damped SGD")}
LOSSES = {"brier": Entry("mylab.losses:brier")}
MEASUREMENTS = {"weights": Measurement("mylab.measurements:weights", {}, {"norm_of_weights": "Norm of the weights"})}
FIGURES = {
    "stairs": Entry("mylab.figures:draw", {"fill": {"description": "below", "type": "boolean", "default": True}})
}
