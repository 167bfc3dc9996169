"""What of a trained model a study may measure, a line each; a part of :mod:`nmepkg.registry`, which says more."""

from __future__ import annotations

from nmepkg.entries import Measurement
from nmepkg.fragments import flag, integer, numbers, positive

_LEADING = {
    "steps": integer("Lanczos steps before a restart from the eigenvector found so far", 1, default=20),
    "tolerance": positive(
        "relative residual of the largest eigenvalue below which restarts end", maximum=0.1, default=1e-3
    ),
}

MEASUREMENTS: dict[str, Measurement] = {
    "traces": Measurement(
        "nmepkg.measurement.traces:traces",
        {
            "samples": integer("random probes", 2, default=100),
            "probe": {
                "description": "entries of a probe",
                "enum": ["gaussian", "rademacher"],
                "default": "rademacher",
            },
        },
        ("tr_H", "tr_G", "tr_N", "tr_H_variance", "tr_G_variance", "tr_N_variance"),
    ),
    "spectrum": Measurement(
        "nmepkg.measurement.spectrum:spectrum",
        {
            "steps": integer("of Lanczos", 1, default=64),
            "samples": integer("starting vectors", 1, default=4),
            "top": integer("eigenvalues that are listed at either end", 1, default=5),
        },
        tuple(f"{end}_eigenvalue_{part}" for part in "HGN" for end in ("largest", "smallest")),
    ),
    "alignment": Measurement(
        "nmepkg.measurement.alignment:alignment",
        {},
        (
            "gradient_norm",
            *(f"{what}_{part}" for part in ("H", "G", "N", "N_activation", "N_rest") for what in ("norm", "cosine")),
        ),
    ),
    "prediction": Measurement(
        "nmepkg.measurement.prediction:prediction",
        {"radii": numbers("distances ρ along the gradient", positive(""), default=[0.01, 0.03, 0.1])},
        (
            *(f"{what}_{part}" for part in "HG" for what in ("gap", "agreement", "ratio")),
            "fraction_crossed",
        ),
    ),
    "second_derivative": Measurement(
        "nmepkg.measurement.second_derivative:second_derivative",
        {
            "threshold": positive("|φ''| from which it counts", default=0.01, assumed=True),
            "relative": flag("whether the threshold is a share of the largest |φ''|", default=True),
        },
        ("fraction_above", "fraction_zero"),
    ),
    "nme_blocks": Measurement(
        "nmepkg.measurement.nme_blocks:nme_blocks",
        {
            "max_parameters": integer(
                "largest number P of parameters; a larger model is refused, because time grows with P²",
                1,
                default=20_000,
            ),
            "chunk": integer("columns of N at a time", 1, default=64),
        },
        ("norm_N", "share_diagonal", "share_within_layers", "share_between_layers"),
    ),
    "sharpness": Measurement(
        "nmepkg.measurement.sharpness:sharpness",
        {
            "radii": numbers("ρ, how far parameters are moved", positive(""), default=[0.05, 0.1, 0.2]),
            "norm": {
                "description": "norm of δ, or of δ/|θ|, that is at most ρ: Euclidean, or the largest entry",
                "enum": ["l2", "linf"],
                "default": "l2",
            },
            "adaptive": flag("whether each parameter moves in units of its own size, |θ|", default=False),
            "steps": integer("steps of projected gradient ascent", 1, default=20),
            "samples": integer("random δ of the average, each with −δ", 2, default=20),
        },
        ("worst_case", "average"),
    ),
    "edge_of_stability": Measurement(
        "nmepkg.measurement.edge_of_stability:edge_of_stability",
        _LEADING,
        ("sharpness", "threshold", "ratio"),
        optimizer="sgd",
    ),
    "loss_along": Measurement(
        "nmepkg.measurement.loss_along:loss_along",
        {
            "radii": numbers(
                "ρ, how far along each unit vector; negative: against it",
                {"type": "number"},
                default=[-0.5, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.5],
            ),
            **_LEADING,
        },
        tuple(f"loss_along_{direction}" for direction in ("g", "H", "N", "top_H", "top_G")),
    ),
    "loss_plane": Measurement(
        "nmepkg.measurement.loss_plane:loss_plane",
        {
            "directions": {
                "description": "u and v: the eigenvectors of the two largest eigenvalues of H, G or N; ĝ and the top "
                "eigenvector of H; or two random directions, each filter of the norm that it has in θ",
                "enum": ["top_H", "top_G", "top_N", "g_and_top_H", "filter_normalized"],
                "default": "top_H",
            },
            "range": positive("a and b go from −range to range, in lengths of u and v", default=1.0),
            "points": integer("of a and of b; an odd number has θ among them", 2, maximum=251, default=25),
            **_LEADING,
        },
        ("loss_plane", "accuracy_plane"),
        figure="plane",
    ),
    "overlaps": Measurement(
        "nmepkg.measurement.overlaps:overlaps",
        {
            "top": integer("eigenvectors of the largest eigenvalues", 1, default=10),
            "steps": integer("of Lanczos", 1, default=64),
            "rho": positive("ρ of the steps of SAM and PSAM", default=0.1),
        },
        tuple(f"overlap_{vector}_{part}" for part in "HG" for vector in ("g", "H", "N", "sam", "psam", "missed")),
    ),
    "dead_units": Measurement("nmepkg.measurement.dead_units:dead_units", {}, ("fraction_dead", "fraction_flat")),
}
