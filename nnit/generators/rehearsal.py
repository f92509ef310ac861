"""What a generator knows of a task as networks of its own, to be trained on where no zoo is left.

A network that learns a new task forgets the old ones unless it goes on seeing them; samples of
itself will do where their data are gone (Robins 1995, "Catastrophic forgetting, rehearsal and
pseudorehearsal"; Shin et al. 2017, "Continual learning with deep generative replay",
arXiv:1705.08690).
"""

from dataclasses import replace

from nnit.architectures import TrainingRange, sample_architecture
from nnit.diffusion.batch import UNKNOWN_BRANCH
from nnit.diffusion.sampler import SampleRequest, sample_networks
from nnit.generators.trained import Generator
from nnit.progress import Progress, raise_if_stopped, silent
from nnit.seeding import numpy_generator, torch_generator
from nnit.tokens.token_set import TokenSet
from nnit.tokens.tokenizer import tokenize_zoo
from nnit.zoo.members import ZooMember, build_zoo

STEPS = 10  # of the sampler


def rehearse(
    generator: Generator,
    training: TrainingRange,
    count: int,
    seed: int,
    device: str,
    progress: Progress = silent,
) -> TokenSet:
    """Return networks that a generator generates of its task, as tokens that it was trained on.

    Shapes are drawn as those of a zoo are, out of widths and depths that the generator was trained
    on and never a held-out one; branches come in turn. Statistics are the generator's, so that
    tokens mean the same.

    Args:
        generator: On ``device``.
        training: Which architectures may be trained on.
        count: Networks.
        seed: Of shapes and noise.
        device: Where the generator is.
        progress: Advances by one for each network.

    Raises:
        ValueError: none of what may be trained on is within what the generator was trained on.
        InterruptedRunError: the caller asked to stop.
    """
    interface, (task, branches) = generator.interface, generator.place
    values = generator.values
    unknown = set(training.trainable_widths()) - set(values.widths)
    within = replace(
        training,
        held_out_widths=(*training.held_out_widths, *sorted(unknown)),
        depth_min=max(min(values.depths), training.depth_min),
        depth_max=min(max(values.depths), training.depth_max),
    )
    if within.depth_min > within.depth_max or not within.trainable_widths():
        raise ValueError(
            f"trained on depths {values.depths} and widths up to {max(values.widths)}, none of "
            "which may be trained on now"
        )
    chance = numpy_generator(seed, "rehearsal", interface.task)
    shapes = [sample_architecture(chance, within) for _ in range(count)]
    requests = [
        SampleRequest(
            interface.spec(hidden_dims),
            branches[k % len(branches)] if branches else UNKNOWN_BRANCH,
            torch_generator(seed, "rehearsal", interface.task, k),
            task,
        )
        for k, hidden_dims in enumerate(shapes)
    ]
    weights = {}
    for k, network in sample_networks(
        generator.model,
        requests,
        generator.patch_size,
        generator.standardizer,
        num_steps=STEPS,
        device=device,
    ):
        raise_if_stopped(progress, "diffuse-train: stopped; nothing was written")
        weights[k] = network.weights
        progress.advance()
    members = [
        ZooMember(hidden_dims, k % max(1, len(branches)), 0, float("nan"), float("nan"))
        for k, hidden_dims in enumerate(shapes)
    ]
    zoo = build_zoo(members, [weights[k] for k in range(count)], interface)
    tokens = tokenize_zoo(zoo, generator.patch_size)
    return replace(tokens, standardizers=(generator.standardizer,))
