"""What a run, a measurement, a landscape or a figure is: its id, the code behind it, and what a job is told of it."""
