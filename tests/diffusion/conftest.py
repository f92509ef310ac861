"""Token sequences of small networks, and a transformer that does something."""

import pytest
from learning_examples import DEPTHS, DIMS, WIDTHS, make_zoo, stirred

from nnit.diffusion.training import network_tokens
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.tokens.tokenizer import tokenize_zoo


@pytest.fixture(scope="session")
def token_set():
    """Eight networks of mixed shapes in patches of 4."""
    return tokenize_zoo(make_zoo(DIMS), 4)


@pytest.fixture(scope="session")
def networks(token_set):
    """Their sequences, from 8 to about 90 tokens long."""
    return [network_tokens(token_set, k) for k in range(len(token_set))]


@pytest.fixture(scope="session")
def lively():
    """A transformer whose zero-initialised layers are no longer zero."""
    config = TransformerConfig(
        4, width=32, depth=2, heads=2, arch_depths=DEPTHS, arch_widths=WIDTHS
    )
    return stirred(build_transformer(config, 0))
