"""Which shapes a frontier tries: spread evenly over the logarithm of the number of parameters."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from nnit.diffusion.architecture import ArchitectureValues, refusal
from nnit.errors import UsageError
from nnit.mlp import Architecture, PolicyInterface
from nnit.patterns import ArchitectureBounds
from nnit.seeding import numpy_generator

FEW = 20_000  # so many shapes are listed one by one
TRIES = 20  # draws for each stratum before a neighbouring size will do
REACH = 0.1  # how much farther, in log size, as many further draws reach
SPREAD = 0.5  # standard deviation of the logarithm of a layer's width around the network's


def spread_shapes(
    count: int,
    widths: Sequence[int],
    depths: Sequence[int],
    bounds: ArchitectureBounds,
    interface: PolicyInterface,
    seed: int,
) -> list[Architecture]:
    """Draw different shapes within bounds, one from each of ``count`` equal strata of log size.

    A robot's network is small, and between 1,000 and 2,000 parameters there is as much to learn
    as between 100,000 and 200,000. Where a stratum has no shape, another's neighbour stands in.

    Args:
        count: How many shapes.
        widths: Those that a layer may have.
        depths: Numbers of hidden layers.
        bounds: On parameters, MACs and depth.
        interface: Observation and action sizes.
        seed: Of the draw.

    Returns:
        Shapes in ascending order of parameters; all there are where they are fewer than ``count``.

    Raises:
        UsageError: no shape is within the bounds.
    """
    values = ArchitectureValues(tuple(depths), tuple(widths))
    depths = [d for d in depths if bounds.admit(interface.spec((min(widths),) * d))]
    if not depths:
        raise UsageError(refusal(values, None, bounds, interface))
    listed = list_shapes(sorted(widths), depths, bounds, interface)
    if listed is not None:
        return by_size(_choose(listed, count, interface, seed), interface)
    found = _draw(count, np.array(sorted(widths)), depths, bounds, interface, seed)
    return by_size(found, interface)


def list_shapes(
    widths: Sequence[int],
    depths: Sequence[int],
    bounds: ArchitectureBounds,
    interface: PolicyInterface,
) -> list[Architecture] | None:
    """Return all shapes within bounds, or None where there are more than ``FEW``."""
    found: list[Architecture] = []
    for depth in depths:
        for shape in _complete((), depth, widths, bounds, interface):
            found.append(shape)
            if len(found) > FEW:
                return None
    return found


def by_size(shapes: Sequence[Architecture], interface: PolicyInterface) -> list[Architecture]:
    """Order shapes by their parameters, equal ones by their widths."""
    return sorted(shapes, key=lambda shape: (interface.spec(shape).num_parameters, shape))


def _complete(
    begun: Architecture,
    depth: int,
    widths: Sequence[int],
    bounds: ArchitectureBounds,
    interface: PolicyInterface,
) -> Iterator[Architecture]:
    """Yield every shape within bounds that begins so; ``widths`` ascend."""
    if len(begun) == depth:
        yield begun
        return
    for width in widths:
        smallest = (*begun, width, *(widths[0],) * (depth - len(begun) - 1))
        if not bounds.admit(interface.spec(smallest)):
            return  # wider ones are out of bounds too
        yield from _complete((*begun, width), depth, widths, bounds, interface)


def _choose(
    shapes: Sequence[Architecture], count: int, interface: PolicyInterface, seed: int
) -> list[Architecture]:
    """Choose one shape from each stratum of log size, and from the next ones where it is empty."""
    if len(shapes) <= count:
        return list(shapes)
    generator = numpy_generator(seed, "choose")
    sizes = np.log([interface.spec(shape).num_parameters for shape in shapes])
    ranks = generator.permutation(len(shapes))  # decides between shapes of a stratum
    free = np.ones(len(shapes), bool)
    chosen = []
    edges = np.linspace(sizes.min(), sizes.max(), count + 1)
    for low, high in itertools.pairwise(edges):
        outside = np.maximum(low - sizes, 0) + np.maximum(sizes - high, 0)
        outside[~free] = np.inf
        best = int(np.lexsort((ranks, outside))[0])
        free[best] = False
        chosen.append(shapes[best])
    return chosen


def _draw(
    count: int,
    widths: np.ndarray,
    depths: Sequence[int],
    bounds: ArchitectureBounds,
    interface: PolicyInterface,
    seed: int,
) -> list[Architecture]:
    """Draw shapes near a size in each stratum, until one lies in it that is new."""
    smallest = min(interface.spec((int(widths[0]),) * d).num_parameters for d in depths)
    largest = max(_largest(widths, depth, bounds, interface) for depth in depths)
    edges = np.geomspace(smallest, largest * (1 + 1e-9), count + 1)
    found: dict[Architecture, None] = {}
    for stratum, (low, high) in enumerate(itertools.pairwise(edges)):
        generator = numpy_generator(seed, "stratum", stratum)
        best: Architecture | None = None
        best_miss = np.inf
        for attempt in itertools.count():  # ends: there are more than ``count`` shapes
            reach = max(0, attempt - TRIES) / TRIES * REACH
            wanted = np.exp(generator.uniform(np.log(low) - reach, np.log(high) + reach))
            depth = int(generator.choice(depths))
            shape = _shape_of_size(wanted, widths, depth, interface, generator)
            if shape in found or not bounds.admit(interface.spec(shape)):
                continue
            size = interface.spec(shape).num_parameters
            miss = max(np.log(low / size), np.log(size / high), 0.0)
            if miss < best_miss:
                best, best_miss = shape, miss
            if best_miss == 0 or attempt >= TRIES:
                break
        assert best is not None
        found[best] = None
    return list(found)


def _largest(
    widths: np.ndarray, depth: int, bounds: ArchitectureBounds, interface: PolicyInterface
) -> int:
    """Return the parameters of about the largest network of a depth within bounds."""
    equal = [interface.spec((int(width),) * depth) for width in widths]
    return max(spec.num_parameters for spec in equal if bounds.admit(spec))


def _shape_of_size(
    wanted: float,
    widths: np.ndarray,
    depth: int,
    interface: PolicyInterface,
    generator: np.random.Generator,
) -> Architecture:
    """Return a shape of random proportions with about ``wanted`` parameters."""
    proportions = np.exp(SPREAD * generator.standard_normal(depth))

    def shape(scale: float) -> Architecture:
        nearest = np.abs(np.log(widths)[:, None] - np.log(scale * proportions)).argmin(axis=0)
        return tuple(widths[nearest].tolist())

    low, high = np.log(widths[0]) - 2, np.log(widths[-1]) + 2
    for _ in range(20):
        middle = (low + high) / 2
        if interface.spec(shape(np.exp(middle))).num_parameters < wanted:
            low = middle
        else:
            high = middle
    return shape(np.exp(high))
