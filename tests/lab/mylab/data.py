import numpy as np


def prepare(source, test):
    """Rows of numbers, the last of each a label."""
    rows = np.loadtxt(source, delimiter=",", skiprows=1)
    x, y = rows[:, :-1].astype(np.float32), rows[:, -1].astype(np.int32)
    return {"train_x": x[:-test], "train_y": y[:-test], "test_x": x[-test:], "test_y": y[-test:]}
