"""nnit: generate the weights of neural networks of any width and depth.

An implementation of NNiT (Kim et al., ICML 2026, arXiv:2603.00180).
"""

__version__ = "0.1.0"
