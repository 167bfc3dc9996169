"""A lab's own code, as an extension brings it: one of each kind of thing that a study may name."""
