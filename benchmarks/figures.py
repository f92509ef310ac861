"""Draw the figures of the README from the artifacts of ``make repro``.

    python -m benchmarks.figures docs/figures

``weights.png``: a layer that was generated, beside what the graph hypernetwork writes for the same
shape and what cloning that shape alone gives. ``success.png``: success by architecture.
"""

import math
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from nnit.artifacts.demos import read_demos
from nnit.artifacts.model import read_model
from nnit.artifacts.rollouts import read_rollouts
from nnit.artifacts.samples import read_samples
from nnit.figures.by_architecture import ArchitectureSuccess, draw_by_architecture
from nnit.ghn.model import GhnConfig, load_ghn, write_networks
from nnit.groups.units import plan_clones, train_unit
from nnit.mlp import Architecture, PolicyInterface, format_architecture, split_layers
from nnit.rollout.metrics import Evaluation
from stages.params_file import load_params

ARTIFACTS = Path("artifacts")
SHOWN_ARCHITECTURE = (128, 256, 128)
SHOWN_LAYER = 1  # from 0: 128 -> 256
SOURCES = {
    "sample": "generated",
    "ghn": "hypernetwork asked again",
    "cloned": "cloned directly",
}


def shown_field(interface: PolicyInterface, widths: Architecture, flat: np.ndarray) -> np.ndarray:
    """Return the shown layer's weights divided by ``sqrt(2 / fan_in)``."""
    weight = split_layers(interface.spec(widths), flat)[SHOWN_LAYER].weight
    return weight / math.sqrt(2 / weight.shape[1])


def weight_images() -> dict[str, np.ndarray]:
    """Return the same layer from three sources."""
    samples, _ = read_samples(ARTIFACTS / "samples")
    (generated,) = [
        sample.network
        for sample in samples.samples
        if sample.network.hidden_dims == SHOWN_ARCHITECTURE and sample.sample_index == 0
    ]
    stored, _ = read_model(ARTIFACTS / "ghn", "ghn")
    ghn = load_ghn(GhnConfig(**stored.config), stored.tensors)
    (asked,) = write_networks(ghn, [stored.interface.spec(SHOWN_ARCHITECTURE)])
    demos, _ = read_demos(ARTIFACTS / "demos")
    steps = load_params().rollout.clone_steps
    (unit,) = plan_clones([SHOWN_ARCHITECTURE], demos, steps=steps, seed=0)
    (cloned,) = train_unit(unit)
    flats = {
        "generated": generated.weights,
        "graph hypernetwork": asked.weights,
        "trained alone": cloned.weights,
    }
    return {
        name: shown_field(samples.interface, SHOWN_ARCHITECTURE, flat)
        for name, flat in flats.items()
    }


def draw_weights(images: dict[str, np.ndarray]) -> Figure:
    """Draw weight matrices side by side on one colour scale."""
    figure, axes = plt.subplots(1, len(images), figsize=(9.6, 6.4), layout="constrained")
    scale = ScalarMappable(Normalize(-1.5, 1.5), "RdBu")
    for axis, (name, image) in zip(axes, images.items(), strict=True):
        axis.imshow(image, cmap=scale.cmap, norm=scale.norm, interpolation="nearest")
        axis.set_title(name)
        axis.set_xlabel("input unit")
    axes[0].set_ylabel("output unit")
    figure.colorbar(scale, ax=axes, shrink=0.6, label=r"weight / $\sqrt{2 / \mathrm{fan\ in}}$")
    widths = format_architecture(SHOWN_ARCHITECTURE)
    figure.suptitle(f"Second layer of an MLP {widths}, a shape that no training network had")
    return figure


def draw_success(evaluations: tuple[Evaluation, ...]) -> Figure:
    """Draw success of each architecture with 95 % intervals, one row each."""
    methods = {
        label: [
            ArchitectureSuccess(
                f"{format_architecture(e.hidden_dims)}  ({e.kind})", e.success_once, *e.interval
            )
            for e in evaluations
            if e.source == source
        ]
        for source, label in SOURCES.items()
        if any(e.source == source for e in evaluations)
    }
    return draw_by_architecture(methods, "success_once, 100 episodes, 95 % Wilson interval")


def main() -> None:
    """Draw both figures into the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    rollouts, _ = read_rollouts(ARTIFACTS / "rollouts")
    figures = {
        "weights.png": draw_weights(weight_images()),
        "success.png": draw_success(rollouts.evaluations),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=110, metadata={"Software": None})
        print(folder / name)


if __name__ == "__main__":
    main()
