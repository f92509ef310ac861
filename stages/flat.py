"""Read a flat artifact as a model that is ready to sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.model import read_model
from nnit.artifacts.tokens import StoredStandardizer
from nnit.errors import DamagedArtifactError, NnitError
from nnit.flat.model import FlatConfig, FlatModel
from nnit.mlp import PolicyInterface
from nnit.tokens.token_set import Standardizer
from nnit.training import build_from_arrays


@dataclass(frozen=True)
class FlatGenerator:
    """A trained flat-vector model and what its entries mean."""

    model: FlatModel
    standardizer: Standardizer
    interface: PolicyInterface
    digest: str  # of the artifact
    versions: Mapping[str, str]  # that it was made with


def load_flat(path: Path, device: str) -> FlatGenerator:
    """Read a flat-vector model.

    Raises:
        NnitError: missing, of another kind, damaged.
    """
    stored, artifact = read_model(path, "flat")
    try:
        config = FlatConfig(**stored.config)
        model = build_from_arrays(lambda: FlatModel(config), stored.tensors)
        standardizer = artifact.attribute("standardizer", StoredStandardizer)
    except NnitError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise DamagedArtifactError(
            f"{path}: not a flat model that can be built: {first_line}"
        ) from None
    model.to(device).eval().requires_grad_(requires_grad=False)
    return FlatGenerator(
        model, standardizer, stored.interface, artifact.digest, artifact.manifest.versions
    )
