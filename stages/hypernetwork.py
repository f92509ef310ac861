"""Read a ghn artifact as a graph hypernetwork that is ready to write networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnit.artifacts.model import read_model
from nnit.artifacts.reading import require_memory
from nnit.errors import DamagedArtifactError, shorten
from nnit.ghn.model import GhnConfig, GraphHyperNetwork, load_ghn
from nnit.mlp import MlpSpec, PolicyInterface, format_architecture

WEIGHT_BYTES = 8  # for each weight of a network
DECODER_BYTES = 64  # at the peak, for each weight of the layer that is being written


@dataclass(frozen=True)
class Hypernetwork:
    """A trained graph hypernetwork and where it comes from."""

    model: GraphHyperNetwork
    tensors: dict[str, np.ndarray]  # what the model was loaded from, for worker processes
    interface: PolicyInterface
    params: Mapping[str, Any]  # of its training
    digest: str  # of the artifact


def load_hypernetwork(path: Path) -> Hypernetwork:
    """Read a graph hypernetwork.

    Raises:
        NnitError: missing, of another kind, damaged.
    """
    stored, artifact = read_model(path, "ghn")
    try:
        model = load_ghn(GhnConfig(**stored.config), stored.tensors)
    except (TypeError, ValueError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise DamagedArtifactError(
            f"{path}: not a hypernetwork that can be built: {first_line}"
        ) from None
    return Hypernetwork(
        model, stored.tensors, stored.interface, artifact.manifest.params, artifact.digest
    )


def require_decoding_memory(specs: Sequence[MlpSpec]) -> None:
    """Refuse networks that do not fit into memory while a hypernetwork writes them.

    Raises:
        ResourceError: one does not, or all of them together.
    """
    for spec in specs:
        largest = max(layer.num_parameters for layer in spec.layers)
        num_bytes = WEIGHT_BYTES * spec.num_parameters + DECODER_BYTES * largest
        require_memory(num_bytes, f"--arch {shorten(format_architecture(spec.hidden_dims))}")
    num_bytes = WEIGHT_BYTES * sum(spec.num_parameters for spec in specs)
    require_memory(num_bytes, f"{len(specs)} networks")
