"""What a shell offers behind a flag: names that are looked up without importing torch."""

from collections.abc import Callable, Sequence

Offer = Callable[[str], list[str]]  # what begins with what was typed


def offering(words: Sequence[str]) -> Offer:
    """Return what offers some words."""

    def offer(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return offer


def offer_tasks(incomplete: str) -> list[str]:
    """Offer the tasks that nnit knows by name, and those of the generators that are here."""
    from nnit.generators.choice import known_tasks
    from nnit.tasks.registry import MNIST, TASKS

    return offering(list(dict.fromkeys((*TASKS, MNIST, *known_tasks()))))(incomplete)


def offer_models(incomplete: str) -> list[str]:
    """Offer the generators with names, and those in and below the working folder."""
    from nnit.generators.names import find_models
    from nnit.generators.near import generators_near

    names = dict.fromkeys(model.name for model in find_models())
    return offering([*names, *map(str, generators_near())])(incomplete)
