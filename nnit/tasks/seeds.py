"""Which reset seeds belong to demonstrations and which to evaluation."""

from collections.abc import Container, Iterable

from nnit.errors import UsageError

EVALUATION_FIRST_SEED = 0
DEMOS_FIRST_SEED = 10_000  # so that the first 10 000 are free for evaluation
MAX_SEED = 2**31 - 1  # what ManiSkill's generators take


def seed_range(first_seed: int, num_episodes: int, max_seed: int = MAX_SEED) -> range:
    """Return the reset seeds of ``num_episodes`` episodes from ``first_seed`` on.

    Raises:
        UsageError: no episode, or seeds outside 0 to ``max_seed``.
    """
    if num_episodes < 1:
        raise UsageError(f"--episodes {num_episodes}: must be at least 1")
    if first_seed < 0 or first_seed + num_episodes - 1 > max_seed:
        raise UsageError(
            f"reset seeds {first_seed} to {first_seed + num_episodes - 1}: must be within 0 to "
            f"{max_seed}"
        )
    return range(first_seed, first_seed + num_episodes)


def shared_seed(some: Iterable[int], others: Container[int]) -> int | None:
    """Return the lowest reset seed that both have, None where there is none."""
    return min((seed for seed in some if seed in others), default=None)


def check_disjoint_seeds(demos: Iterable[int], evaluation: range) -> None:
    """Refuse to evaluate on initial states that the demonstrations began from.

    Raises:
        UsageError: a reset seed is of both.
    """
    both = shared_seed(demos, evaluation)
    if both is not None:
        raise UsageError(
            f"evaluation seeds {evaluation.start} to {evaluation.stop - 1}: {both} is one of the "
            "demonstrations' too; choose fewer episodes or another first seed"
        )
