from matplotlib.figure import Figure


def draw(curves, titles, chance, fill):
    """Stairs of the means, a line each."""
    canvas = Figure(figsize=(4, 3))
    ax = canvas.add_subplot(xlabel=curves.figure.x, ylabel=", ".join(curves.figure.y))
    for _, line in curves.points.groupby("line"):
        ax.step(line["x"], line["mean"], where="mid")
        if fill:
            ax.fill_between(line["x"], line["mean"], step="mid", alpha=0.2)
    return canvas
