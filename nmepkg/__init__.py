"""Sharpness regularisation and the Nonlinear Modeling Error in JAX.

Importing this package imports none of its modules: a tool that only reads a study never pays for JAX.
"""
