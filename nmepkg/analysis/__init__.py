"""From finished runs to statistics, tables and figures. Nothing here imports JAX."""
