"""Draw a layer that was generated, one that was asked for again, and one trained alone.

python -m docs.weights_picture studies/artifacts/PickCube-v1/seed-0/samples docs/figures/weights.png
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from nnit.artifacts.samples import read_samples
from nnit.figures.canvas import new_figure, png_bytes
from nnit.mlp import split_layers

SHOWN = (128, 256, 128)  # whose weights are shown
METHODS = {"generated": "generated", "asked": "graph hypernetwork", "cloned": "trained alone"}


def draw_weights(samples: Mapping[str, Path], path: Path) -> None:
    """Draw the second layer of a network of each method, on one scale of colours."""
    figure = new_figure(9.6, 6.4)
    axes = figure.subplots(1, len(samples))
    for axis, (name, folder) in zip(axes, samples.items(), strict=True):
        found, _ = read_samples(folder)
        network = next(one.network for one in found.samples if one.network.hidden_dims == SHOWN)
        weight = split_layers(found.interface.spec(SHOWN), network.weights)[1].weight
        scaled = weight / (2 / weight.shape[1]) ** 0.5
        axis.imshow(scaled, cmap="RdBu", vmin=-1.5, vmax=1.5, interpolation="nearest")
        axis.set(title=name, xlabel="input unit")
    axes[0].set_ylabel("output unit")
    figure.colorbar(
        axes[0].images[0], ax=axes, shrink=0.6, label=r"weight / $\sqrt{2 / \mathrm{fan\ in}}$"
    )
    path.write_bytes(png_bytes(figure))


if __name__ == "__main__":
    draw_weights({name: Path(sys.argv[1], one) for one, name in METHODS.items()}, Path(sys.argv[2]))
