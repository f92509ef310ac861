"""Hold generated architectures against those of the zoo: are they as frequent, and within bounds?

A chi-square test for depths, and one for the widths of all layers in classes that hold equally
many of the zoo's widths.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chisquare

from nnit.artifacts.samples import read_samples
from nnit.artifacts.zoo import read_zoo
from nnit.mlp import Architecture
from nnit.patterns import ArchitectureBounds

WIDTH_CLASSES = 8
# What comparison/dvc.yaml asks `nnit sample` for.
BOUNDS = {
    "samples-architectures": ArchitectureBounds(),
    "samples-bounded": ArchitectureBounds(max_params=20_000, depth=2),
}


def chi_square(expected: Sequence[int], seen: Sequence[int]) -> dict[str, float]:
    """Test that labels were drawn with the frequencies that they have in ``expected``.

    Labels that ``expected`` does not have are left out.

    Returns:
        The statistic, its degrees of freedom and the p-value.
    """
    labels = sorted(set(expected))
    if len(labels) == 1:  # nothing to be different in
        return {"statistic": 0.0, "freedom": 0, "p": 1.0}
    counts = Counter(seen)
    observed = np.array([counts[label] for label in labels])
    share = np.array([expected.count(label) for label in labels]) / len(expected)
    found = chisquare(observed, share * observed.sum())
    return {
        "statistic": float(found.statistic),
        "freedom": len(labels) - 1,
        "p": float(found.pvalue),
    }


def width_classes(zoo: Sequence[int], widths: Sequence[int]) -> list[int]:
    """Return the class of each width: eight that hold equally many of the zoo's widths."""
    edges = np.quantile(zoo, np.linspace(0, 1, WIDTH_CLASSES + 1)[1:-1])
    return np.searchsorted(np.unique(edges), widths, side="right").tolist()


def depths_and_widths(architectures: Sequence[Architecture]) -> tuple[list[int], list[int]]:
    """Return the depth of every architecture, and the widths of all."""
    depths = [len(dims) for dims in architectures]
    return depths, [width for dims in architectures for width in dims]


def compare(
    zoo: Sequence[Architecture],
    generated: Sequence[Architecture],
    trained: Sequence[Architecture] | None = None,
) -> dict[str, Any]:
    """Compare generated architectures with the zoo's.

    Args:
        zoo: Architectures of the zoo, within the bounds of the generated ones.
        generated: What was generated.
        trained: All architectures of the zoo, where there are bounds.

    Returns:
        How many there are, how many are ``valid`` (of depths and widths that the zoo has anywhere),
        and the tests of ``depth`` and ``width``.
    """
    zoo_depths, zoo_widths = depths_and_widths(zoo)
    depths, widths = depths_and_widths(generated)
    known_depths, known_widths = map(set, depths_and_widths(trained or zoo))
    valid = [len(dims) in known_depths and set(dims) <= known_widths for dims in generated]
    classes = width_classes(zoo_widths, zoo_widths), width_classes(zoo_widths, widths)
    return {
        "generated": len(generated),
        "different": len(set(generated)),
        "valid": sum(valid),
        "depth": chi_square(zoo_depths, depths),
        "width": chi_square(*classes),
    }


def architecture_report(zoo_path: Path, sample_paths: Sequence[Path]) -> dict[str, Any]:
    """Compare each set of samples with that part of a zoo that is within the same bounds."""
    zoo, _ = read_zoo(zoo_path)
    report = {}
    for path in sample_paths:
        samples, artifact = read_samples(path)
        bounds = BOUNDS[path.name]
        trained = [member.hidden_dims for member in zoo.members]
        within = [dims for dims in trained if bounds.admit(zoo.interface.spec(dims))]
        generated = [sample.network.hidden_dims for sample in samples.samples]
        admitted = sum(bounds.admit(samples.interface.spec(dims)) for dims in generated)
        report[path.name] = {
            "digest": artifact.digest,
            "within_bounds": admitted,
            **compare(within, generated, trained),
        }
    return report
