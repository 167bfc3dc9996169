"""What studies may name, and where its code is. Planning imports this module alone, so nothing heavy belongs here."""

from nmepkg.entries import Entry, Method, Strength
from nmepkg.fragments import positive

ACTIVATIONS = {
    "mish": Entry("mylab.activations:mish", {"sharpness": positive("s, of s x", default=1.0)}, label="Mish"),
}
STRENGTHS = {
    "tau": Strength("τ", "temperatures τ of tilted steps", example=(0, 0.5), compared=0.5, title="temperature")
}
METHODS = {"tilted": Method("mylab.methods:tilted", strength="tau", cost=1.2, label="Tilted")}
