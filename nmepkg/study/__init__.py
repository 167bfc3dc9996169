"""A study: checked YAML in, runs with their ids out. Imports neither JAX nor a model."""
