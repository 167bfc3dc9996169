"""Claims judged: from the runs that a study names to verdicts with intervals."""
