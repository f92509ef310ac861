"""Read a generator artifact as a model that is ready to sample."""

from dataclasses import dataclass
from pathlib import Path

import torch

from nnit.artifacts.model import StoredModel, read_model
from nnit.diffusion.transformer import DiffusionTransformer, TransformerConfig
from nnit.errors import DamagedArtifactError
from nnit.mlp import PolicyInterface
from nnit.tokens.token_set import Standardizer
from nnit.training import load_model_arrays


@dataclass(frozen=True)
class Generator:
    """A trained diffusion transformer and what its patches mean."""

    model: DiffusionTransformer
    standardizer: Standardizer
    interface: PolicyInterface
    digest: str  # of the artifact

    @property
    def patch_size(self) -> int:
        """Side of a weight patch."""
        return self.model.config.patch_size


def load_generator(path: Path, device: str) -> Generator:
    """Read a generator.

    Raises:
        NnitError: missing, of another kind, damaged.
    """
    stored, artifact = read_model(path, "generator")
    try:
        model = DiffusionTransformer(TransformerConfig(**stored.config))
        load_model_arrays(model, stored.tensors)
        standardizer = parse_standardizer(stored)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise DamagedArtifactError(
            f"{path}: not a generator that can be built: {first_line}"
        ) from None
    model.to(device).eval().requires_grad_(requires_grad=False)
    return Generator(model, standardizer, stored.interface, artifact.digest)


def parse_standardizer(stored: StoredModel) -> Standardizer:
    """Return the statistics that the generator was trained with."""
    fields = stored.attributes["standardizer"]
    values = {name: tuple(map(float, fields[name])) for name in Standardizer._fields}
    if not all(torch.isfinite(torch.tensor(value)).all() for value in values.values()):
        raise ValueError("standardizer is not finite")
    return Standardizer(**values)
