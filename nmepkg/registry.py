"""What a study may name: activations, methods, optimisers, models, data sets, losses, measurements, figures, a line each.

An entry says where its code lives (``module:attribute``, imported only when a run needs it) and which options a study
may give it, as JSON Schema fragments with their defaults. This module imports nothing heavy and stays out of the code
hash of a run (only the entries that a run uses go in), so that adding a line invalidates no finished run.
"""

from __future__ import annotations

from nmepkg.entries import SEED, Augmentation, Data, Entry, Method, Model, Strength
from nmepkg.fragments import flag, fraction, integer, integers, positive
from nmepkg.measurement_kinds import MEASUREMENTS as MEASUREMENTS

_GROUP = {
    "m": integer(
        "the perturbation or penalty is taken for each group of m examples of a batch, which m must divide; null: the "
        "whole batch",
        1,
        type=["integer", "null"],
        default=None,
        assumed=True,
    )
}
_PROBES = {
    "samples": integer("random probes a step", 1, default=1),
    "probe": {
        "description": "entries of a probe; or `basis`: every basis vector once, which is the trace itself, for MLPs of at "
        "most 20,000 parameters, with `samples: 1`. A step costs some 4 gradients a parameter then",
        "enum": ["gaussian", "rademacher", "basis"],
        "default": "gaussian",
    },
}

STRENGTHS: dict[str, Strength] = {
    "rho": Strength(
        "ρ",
        "strengths ρ of SAM and gradient penalties",
        (0, 0.03, 0.1),
        {"best_of": {"method": "sam"}},
        "penalty strength",
    ),
    "sigma2": Strength(
        "σ²", "strengths σ² of weight noise and trace penalties", (0, 1e-4, 1e-3), 1e-3, "penalty strength"
    ),
}

METHODS: dict[str, Method] = {
    "sgd": Method("nmepkg.methods.gradient_descent:sgd"),
    "sam": Method("nmepkg.methods.sharpness_aware:sam", _GROUP, strength="rho", cost=2),
    "usam": Method("nmepkg.methods.sharpness_aware:usam", _GROUP, strength="rho", cost=2),
    "asam": Method(
        "nmepkg.methods.sharpness_aware:asam",
        {
            "eta": {
                "description": "η of T = |θ| + η, in which a kernel's entries are measured; all else is measured in 1",
                "type": "number",
                "minimum": 0,
                "default": 0.01,
                "assumed": True,
            },
            "normalization": flag(
                "whether scales of normalisation layers are measured so too, as in the authors' code",
                default=False,
                assumed=True,
            ),
            **_GROUP,
        },
        strength="rho",
        cost=2,
    ),
    "functional_sam": Method("nmepkg.methods.sharpness_aware:functional_sam", _GROUP, strength="rho", cost=2),
    "psam": Method("nmepkg.methods.gradient_penalties:psam", _GROUP, strength="rho", second_order=True, cost=3),
    "pusam": Method("nmepkg.methods.gradient_penalties:pusam", _GROUP, strength="rho", second_order=True, cost=3),
    "gradient_penalty": Method(
        "nmepkg.methods.gradient_penalties:gradient_penalty",
        {"p": {"description": "exponent of the gradient norm", "type": "number", "minimum": 1}, **_GROUP},
        strength="rho",
        second_order=True,
        cost=3,
    ),
    "psam_gn": Method("nmepkg.methods.gradient_penalties:psam_gn", _GROUP, strength="rho", cost=2.3),
    "psam_nme": Method("nmepkg.methods.gradient_penalties:psam_nme", _GROUP, strength="rho", second_order=True, cost=3),
    "psam_activation_nme": Method(
        "nmepkg.methods.gradient_penalties:psam_activation_nme",
        _GROUP,
        strength="rho",
        second_order=True,
        cost=4.6,
        pair=True,
    ),
    "psam_fd": Method(
        "nmepkg.methods.gradient_penalties:psam_fd",
        {
            "step": positive(
                "length of the finite difference along the normalised gradient, whatever ρ is",
                default=1e-2,
                assumed=True,
            ),
            **_GROUP,
        },
        strength="rho",
        difference="step",
        cost=2,
    ),
    "weight_noise": Method(
        "nmepkg.methods.noise:weight_noise",
        {
            "antithetic": flag("mean of the gradients at θ + σε and θ − σε", default=False, assumed=True),
            "normalization": flag(
                "whether scales and biases of normalisation layers (modules with `norm` in their name, in any case) "
                "get noise too",
                default=True,
                assumed=True,
            ),
            **_GROUP,
        },
        strength="sigma2",
        cost=1.4,
    ),
    "hessian_trace": Method(
        "nmepkg.methods.trace_penalties:hessian_trace",
        {**_PROBES, **_GROUP},
        strength="sigma2",
        second_order=True,
        cost_per_sample=3.6,
    ),
    "nme_trace": Method(
        "nmepkg.methods.trace_penalties:nme_trace",
        {
            **_PROBES,
            "sign": {
                "description": "of the penalty: −1 is one on −tr N",
                "type": "integer",
                "enum": [1, -1],
                "default": 1,
            },
            **_GROUP,
        },
        strength="sigma2",
        second_order=True,
        cost_per_sample=4.2,
    ),
    "gn_trace_hutchinson": Method(
        "nmepkg.methods.trace_penalties:gn_trace_hutchinson",
        {**_PROBES, **_GROUP},
        strength="sigma2",
        second_order=True,
        cost_per_sample=2.3,
    ),
    "gn_trace": Method(
        "nmepkg.methods.sampled_labels:gn_trace",
        {
            "samples": integer("draws of labels a step", 1, default=1),
            "scale_by_batch": flag(
                "B·‖gradient‖², the unbiased estimate of tr G; false leaves B out and estimates tr(G)/B",
                default=True,
                assumed=True,
            ),
            "straight_through": flag("whether a gradient goes through the sampled labels", default=False),
            **_GROUP,
        },
        strength="sigma2",
        second_order=True,
        loss="cross_entropy",
        cost_per_sample=2.6,
    ),
    "gn_trace_exact": Method(
        "nmepkg.methods.sampled_labels:gn_trace_exact",
        strength="sigma2",
        second_order=True,
        loss="cross_entropy",
        per_example=True,
    ),
}

_ADAM = {
    "b1": fraction("β₁, the decay per step of the running mean of directions", default=0.9),
    "b2": fraction("β₂, the same of the running mean of their squares", default=0.999),
    "eps": positive("ε, added to the root of the mean of squares", default=1e-8),
    "nesterov": flag("Nesterov momentum, as in NAdam", default=False),
}

# What a method's direction goes into, besides the schedule, decay and clipping that all have (study/setup_keys.py).
OPTIMIZERS: dict[str, Entry] = {
    "sgd": Entry(
        "nmepkg.optimizers.sgd:sgd",
        {"momentum": fraction("the momentum μ", default=0.9), "nesterov": flag("Nesterov momentum", default=True)},
    ),
    "adam": Entry("nmepkg.optimizers.adam:adam", _ADAM),
    "adamw": Entry("nmepkg.optimizers.adam:adamw", _ADAM),
}

ACTIVATIONS: dict[str, Entry] = {
    "relu": Entry("nmepkg.activations.rectified:relu"),
    "leaky_relu": Entry(
        "nmepkg.activations.rectified:leaky_relu",
        {
            "negative_slope": {
                "description": "slope below 0",
                "type": "number",
                "minimum": -1000,
                "maximum": 1000,
                "default": 0.01,
            }
        },
    ),
    "silu": Entry("nmepkg.activations.logistic:silu"),
    "softplus": Entry("nmepkg.activations.logistic:softplus"),
    "tanh": Entry("nmepkg.activations.logistic:tanh"),
    "gelu": Entry("nmepkg.activations.gaussian_error:gelu"),
    "gelu_tanh": Entry("nmepkg.activations.gaussian_error:gelu_tanh"),
    "beta_gelu": Entry(
        "nmepkg.activations.gaussian_error:beta_gelu", {"beta": positive("sharpness: φ → ReLU as β → ∞")}
    ),
}

# What an activation's `second_derivative` may be replaced by.
SECOND_DERIVATIVES: dict[str, Entry] = {
    "zero": Entry("nmepkg.activations.replacement:zero"),
    "gaussian": Entry(
        "nmepkg.activations.substitutes:gaussian", {"beta": positive("sharpness, as in eq. 19", default=100.0)}
    ),
    "gaussian_listing": Entry(
        "nmepkg.activations.substitutes:gaussian_listing",
        {"beta": positive("sharpness, as in the appendix, which omits a ½", default=100.0)},
    ),
}

MODELS: dict[str, Model] = {
    "mlp": Model(
        "nmepkg.models.mlp:MLP",
        {
            "width": integer("features of each hidden layer", 1),
            "depth": integer("hidden layers", 0),
            "batch_norm": flag("whether BatchNorm comes before each activation", default=False),
            "layer_norm": flag(
                "whether LayerNorm comes there, of 2 features or more; not together with `batch_norm`", default=False
            ),
        },
        small={"width": 8, "depth": 1},
    ),
    "resnet1d": Model(
        "nmepkg.models.resnet1d:ResNet1D",
        {
            "width": integer("channels of the first stage, doubled from stage to stage", 1),
            "blocks": integers("residual blocks of each stage"),
            "kernel_size": integer("positions that a convolution sees", 1, default=3),
        },
        batch_norm=True,
        halvings=lambda spec: len(spec["blocks"]) - 1,
        axes=1,
        small={"width": 4, "blocks": [1]},
    ),
    "wide_resnet": Model(
        "nmepkg.models.wide_resnet:WideResNet",
        {"depth": integer("layers, 6n + 4", 10), "width": integer("k times the channels of a plain ResNet", 1)},
        batch_norm=True,
        halvings=lambda spec: 2,
        axes=3,
        small={"depth": 10, "width": 1},
    ),
    "resnet": Model(
        "nmepkg.models.resnet:ResNet",
        {
            "blocks": integers("bottlenecks of each stage; the default is ResNet-50", default=[3, 4, 6, 3]),
            "width": integer("channels of the first convolution", 1, default=64),
        },
        batch_norm=True,
        halvings=lambda spec: 1 + len(spec["blocks"]),
        axes=3,
        small={"blocks": [1, 1, 1, 1], "width": 8},
    ),
    "vit": Model(
        "nmepkg.models.vit:ViT",
        {
            "patch": integer("side of a patch in pixels, or positions of a sequence; divides that", 1),
            "depth": integer("blocks", 1),
            "width": integer("features of a token", 1),
            "heads": integer("heads of attention", 1),
            "mlp_ratio": integer("hidden features of a block's MLP, in widths", 1, default=4),
        },
        batch_norm=False,
        small={"depth": 1, "width": 16, "heads": 2},
    ),
    "cnn": Model(
        "nmepkg.models.cnn:CNN",
        {
            "channels": integers("channels of each convolution"),
            "width": integer("features of the dense layer", 1),
        },
        batch_norm=False,
        axes=3,
        small={"channels": [4], "width": 8},
    ),
}


def _images(name: str, shape: tuple[int, ...], classes: int, train: int, test: int) -> Data:
    """Images that tensorflow-datasets makes arrays of."""
    target = f"nmepkg.data.tfds_images:{name}"
    return Data(target, {}, shape, classes, lambda spec: (train, test), "archives")


DATASETS: dict[str, Data] = {
    "mnist1d": Data(
        "nmepkg.data.mnist1d:prepare",
        {
            "seed": integer("draws the set itself", **SEED, default=42),
            "samples": integer(
                "sequences that its package makes: four fifths to train on, a fifth the test set",
                10,
                multipleOf=10,
                default=5000,
            ),
            "test": integer(
                "size of the test set. Sequences beyond the fifth are drawn with another seed, and the training "
                "set does not change. null: the fifth",
                1,
                type=["integer", "null"],
                default=None,
            ),
        },
        (40,),
        10,
        lambda spec: (spec["samples"] * 4 // 5, spec["test"] or spec["samples"] // 5),
    ),
    "mnist": _images("mnist", (28, 28, 1), 10, 60_000, 10_000),
    "fashion_mnist": _images("fashion_mnist", (28, 28, 1), 10, 60_000, 10_000),
    "cifar10": _images("cifar10", (32, 32, 3), 10, 50_000, 10_000),
    "cifar100": _images("cifar100", (32, 32, 3), 100, 50_000, 10_000),
    "imagenet2012": Data(
        "nmepkg.data.imagenet:prepare",
        {
            "size": integer("side of what a model sees, in pixels", 1, default=224),
            "resize": integer("shorter side of a test image before it is cropped", 1, default=256),
        },
        (224, 224, 3),
        1000,
        lambda spec: (1_281_167, 50_000),
        "prepared",
        streamed=True,
        reader="nmepkg.data.streamed:read",
        feed="nmepkg.training.streaming:Streamed",
    ),
    "generated": Data(
        "nmepkg.data.generated:prepare",
        {
            "shape": {**integers("shape of an example; for an image, height, width and channels"), "maxItems": 3},
            "classes": integer("labels", 2, default=10),
            "train": integer("images to train on", 1),
            "test": integer("images of the test set", 1),
            "seed": integer("draws the set", **SEED, default=0),
        },
        examples=lambda spec: (spec["train"], spec["test"]),
    ),
}

AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation("nmepkg.data.augmentation:none", streamed=None),
    "pad_crop_flip": Augmentation(
        "nmepkg.data.augmentation:pad_crop_flip",
        {
            "padding": integer("pixels on each side, by reflection", 0, default=4),
            "flip": flag("whether half of the images are mirrored", default=True),
        },
    ),
    "resized_crop_flip": Augmentation(
        "nmepkg.data.jpeg:resized_crop_flip",
        {
            "smallest_area": positive("share of the image that a crop has at least", maximum=1, default=0.08),
            "largest_aspect": positive("of a crop's longer side to its shorter", minimum=1, default=4 / 3),
        },
        streamed=True,
    ),
}

LOSSES: dict[str, Entry] = {
    "cross_entropy": Entry(
        "nmepkg.losses:cross_entropy",
        {"label_smoothing": fraction("share of the label that is spread over all classes", default=0.0)},
    ),
    "mse": Entry("nmepkg.losses:mse"),
}

# Kinds of figure: code that draws one from what its runs, measurements or landscapes give.
FIGURES: dict[str, Entry] = {
    "curve": Entry("nmepkg.analysis.figures.curve:draw"),
    "landscape": Entry("nmepkg.analysis.figures.landscape:draw"),
    "plane": Entry("nmepkg.analysis.figures.plane:draw"),
}
