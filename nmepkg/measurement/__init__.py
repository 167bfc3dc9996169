"""What is measured of a trained model: curvature and its parts, at chosen steps of a run."""
