"""Architectures that are asked for in part: what is said of them, what is left to a generator."""

from dataclasses import dataclass

from nnit.mlp import MlpSpec

STAR = "*"  # a width that is left to the generator
PartialArchitecture = tuple[int | None, ...]  # hidden widths, None where masked


@dataclass(frozen=True)
class ArchitectureBounds:
    """What may be generated; None is no bound."""

    max_params: int | None = None  # weights and biases
    max_macs: int | None = None  # multiplications of one forward pass: the weights
    depth: int | None = None  # hidden layers

    def admit(self, spec: MlpSpec) -> bool:
        """Whether a network is within the bounds."""
        return (
            (self.max_params is None or spec.num_parameters <= self.max_params)
            and (self.max_macs is None or spec.num_macs <= self.max_macs)
            and (self.depth is None or spec.depth == self.depth)
        )


def format_pattern(pattern: PartialArchitecture | None) -> str:
    """Write a pattern as the command line does; the empty text where all is generated."""
    return ",".join(STAR if width is None else str(width) for width in pattern or ())
