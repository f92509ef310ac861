"""nnit: generate the weights of neural networks of any width and depth.

An implementation of NNiT (Kim et al., ICML 2026, arXiv:2603.00180).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnit.generators.policy import MlpPolicy
    from nnit.generators.ready import LoadedGenerator, generate, load_generator

__version__ = "0.1.0"
__all__ = ["LoadedGenerator", "MlpPolicy", "generate", "load_generator"]


def __getattr__(name: str) -> object:
    """Import what needs torch when it is asked for: ``nnit --help`` imports this package too."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nnit.generators import ready

    return getattr(ready, name)
