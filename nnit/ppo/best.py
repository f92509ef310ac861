"""Keep the hypernetwork whose policies did best while they explored.

Learning goes on when there is nothing left to learn, and may then unlearn; what is kept was
measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

WINDOW = 5  # iterations: each has other architectures and other episodes
Arrays = dict[str, np.ndarray]


@dataclass
class Best:
    """The best so far, and the returns that it is judged by."""

    arrays: Arrays = field(default_factory=dict)  # empty before anything was measured
    score: float = -np.inf
    returns: list[float] = field(default_factory=list)  # of the last iterations

    def judge(self, mean_return: float, arrays: Arrays) -> None:
        """Keep what policies of an iteration were made of, if none before did better.

        They are judged by the mean of this iteration and those just before it, five in all; a mean
        of fewer counts only until there is one of five. Of equals the latest is kept.

        Args:
            mean_return: Of the policies of this iteration; NaN where none finished an episode.
            arrays: What the policies of this iteration were made of.
        """
        if np.isnan(mean_return):
            return
        first_full = len(self.returns) == WINDOW - 1
        self.returns = [*self.returns, mean_return][-WINDOW:]
        score = float(np.mean(self.returns))
        if score >= self.score or first_full:
            self.score, self.arrays = score, arrays

    def state(self, prefix: str) -> Arrays:
        """Return everything as named arrays."""
        return {
            f"{prefix}score": np.array([self.score]),
            f"{prefix}returns": np.array(self.returns),
            **{f"{prefix}arrays/{name}": array for name, array in self.arrays.items()},
        }


def load_best(arrays: Mapping[str, np.ndarray], prefix: str) -> Best:
    """Inverse of ``Best.state``."""
    inner = f"{prefix}arrays/"
    return Best(
        {name.removeprefix(inner): a for name, a in arrays.items() if name.startswith(inner)},
        float(arrays[f"{prefix}score"][0]),
        arrays[f"{prefix}returns"].tolist(),
    )
