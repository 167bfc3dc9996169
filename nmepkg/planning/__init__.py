"""What Snakemake is told, and asked: all that the Snakefile and its rules call."""
