"""Which reset seeds belong to demonstrations and which to evaluation."""

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


def check_disjoint_seeds(demos: range, evaluation: range) -> None:
    """Refuse to evaluate on initial states that the demonstrations began from.

    Raises:
        UsageError: the two ranges of reset seeds overlap.
    """
    if max(demos.start, evaluation.start) < min(demos.stop, evaluation.stop):
        raise UsageError(
            f"evaluation seeds {evaluation.start} to {evaluation.stop - 1} overlap the "
            f"demonstrations' {demos.start} to {demos.stop - 1}; choose fewer episodes or "
            "another first seed"
        )
