"""Sampling what was not asked for: stars, whole architectures, bounds."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_pipeline import PARAMS, Recorder, with_section

from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.samples import MAX_NETWORKS, read_samples
from nnit.cloning import cloning_data, network_loss
from nnit.diffusion.batch import collate
from nnit.diffusion.sampler import draw_noise, sample_networks
from nnit.diffusion.transformer import build_transformer
from nnit.errors import ResourceError, UsageError, WrongKindError
from nnit.generators import generation
from nnit.generators.generation import Settings, Wanted, request
from nnit.generators.trained import load_generator
from nnit.mlp import MAX_DEPTH, forward, join_layers, split_layers
from nnit.patterns import ArchitectureBounds
from nnit.tokens.patches import unpatchify
from nnit.tokens.sequence import tokens_to_raw
from stages import sample
from stages.params import RunOptions

UNBOUNDED = ArchitectureBounds()


def drawn(pipeline, out, patterns, bounds=UNBOUNDED, seed=0, demos=None, count=1, **section):
    """Sample ``count`` networks for each pattern; return their architectures."""
    section = PARAMS.sample.model_copy(update={"samples": count, **section})
    params = PARAMS.model_copy(update={"sample": section})
    inputs = sample.Inputs(pipeline / "generator", patterns, bounds, demos)
    options = RunOptions(seed=seed, device="cpu")
    sample.run(params, inputs, sample.Outputs(out), options=options)
    samples, _ = read_samples(out, check="all")
    return [one.network.hidden_dims for one in samples.samples]


def test_generated_architectures_are_trained_ones_in_depth_and_width(pipeline, tmp_path):
    """Nothing given: depths and widths are those of the zoo."""
    shapes = drawn(pipeline, tmp_path / "out", (None,), count=12)
    training_range = PARAMS.architectures.training_range()
    assert len(shapes) == 12
    assert len(set(shapes)) > 1
    assert all(len(shape) in (1, 2) for shape in shapes)
    assert {width for shape in shapes for width in shape} <= set(training_range.trainable_widths())


def test_stars_are_filled_and_the_rest_is_kept(pipeline, tmp_path):
    """Given widths stay where they are, trained or not."""
    shapes = drawn(pipeline, tmp_path / "out", ((37, None), (None, 5)), count=3)
    assert [shape[0] for shape in shapes[:3]] == [37] * 3
    assert [shape[1] for shape in shapes[3:]] == [5] * 3


def test_bounds_hold_for_every_sample(pipeline, tmp_path):
    """Parameters, multiplications and depth."""
    bounds = ArchitectureBounds(max_params=900, max_macs=850, depth=2)
    shapes = drawn(pipeline, tmp_path / "out", (None,), bounds, count=8)
    interface = read_samples(tmp_path / "out")[0].interface
    assert all(bounds.admit(interface.spec(shape)) for shape in shapes)


def test_sample_does_not_depend_on_how_many_there_are(pipeline, tmp_path):
    """Sample k of a pattern is the same among few and among many."""
    few = drawn(pipeline, tmp_path / "few", ((None, 8), None), count=2)
    many = drawn(pipeline, tmp_path / "many", (None, (None, 8)), count=5)
    assert few == [*many[5:7], *many[0:2]]
    ours = read_samples(tmp_path / "few")[0].samples[0].network.weights
    theirs = read_samples(tmp_path / "many")[0].samples[5].network.weights
    assert ours.tobytes() == theirs.tobytes()


def test_shapes_outside_the_trained_range_are_named(pipeline, tmp_path):
    """Those that are grown, those beyond, and those below; others are not."""
    shapes, progress = ((32, 8), (4, 8), (16, 8)), Recorder()
    inputs = sample.Inputs(pipeline / "generator", shapes)
    for beyond in ("grow", "extrapolate"):
        params = with_section(PARAMS, "sample", beyond=beyond)
        out = sample.Outputs(tmp_path / beyond)
        sample.run(params, inputs, out, options=RunOptions(device="cpu"), progress=progress)
    values = load_generator(pipeline / "generator", "cpu").values
    widest, low = max(values.widths), min(values.widths)
    trained = f"trained are widths of {low} to {widest} and 1 to 2 hidden layers"
    assert progress.notes == [
        f"sample: 32,8: is grown out of {widest},8, whose function stays; {trained}",
        f"sample: 4,8: is below what was trained; {trained}",
        f"sample: 32,8: is beyond what was trained; {trained}",
        f"sample: 4,8: is below what was trained; {trained}",
    ]


def test_without_a_step_it_is_the_mean_of_the_branch(pipeline, tmp_path):
    """What is typical of the manner of each sample, whatever the noise is."""
    drawn(pipeline, tmp_path / "out", ((16, 8),), count=2, steps=0)
    generator = load_generator(pipeline / "generator", "cpu")
    for k, found in enumerate(read_samples(tmp_path / "out")[0].samples):
        spec = generator.interface.spec((16, 8))
        asked = request(generator, Wanted(spec, k), Settings(seed=0))
        noise = draw_noise(spec, generator.patch_size, generator.standardizer, asked.noise)
        batch = collate([noise], branches=[asked.manner], tasks=[0])
        content = generator.model.typical(batch)[0, : noise.layout.num_tokens]
        raw = tokens_to_raw(noise._replace(content=content), generator.patch_size)
        expected = join_layers(unpatchify(spec, *raw))
        np.testing.assert_allclose(found.network.weights, expected, atol=1e-6)


def test_same_seed_same_bytes(pipeline, tmp_path):
    """Architecture and weights; another seed gives others."""
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        drawn(pipeline, tmp_path / name, (None,), count=4, seed=seed)
    one, same, other = (open_artifact(tmp_path / name).digest for name in ("one", "same", "other"))
    assert one == same != other


@pytest.mark.parametrize(
    ("pattern", "bounds", "message"),
    [
        (None, {"max_params": 10}, "--max-params 10"),
        ((None, 8), {"max_macs": 20}, "--max-macs 20"),
        ((8, 8), {"depth": 1}, "--arch 8,8: .*--depth 1; hidden layers may be 2"),
        ((None, 8), {"max_params": 9}, r"--arch \*,8: .* the smallest, 8,8, has 396 parameters"),
        (None, {"depth": 7}, "--depth 7; hidden layers may be 1, 2"),
        ((None, 8, 8), {}, r"--arch \*,8,8: 3 hidden layers.*up to 2"),
    ],
)
def test_impossible_requests_are_one_line_and_write_nothing(
    pipeline, tmp_path, pattern, bounds, message
):
    """Bounds that nothing meets, and a pattern deeper than what may be generated."""
    with pytest.raises(UsageError, match=message) as caught:
        drawn(pipeline, tmp_path / "out", (pattern,), ArchitectureBounds(**bounds))
    assert len(caught.value.faults) == 1
    assert list(tmp_path.iterdir()) == []


def test_older_generators_are_asked_for_one_branch(pipeline):
    """Those without a typical content; others for points between two."""
    generator = load_generator(pipeline / "generator", "cpu")
    older = build_transformer(replace(generator.model.config, places=None, rank=0), 0)
    spec = generator.interface.spec((16, 8))
    for k in range(2):
        now = request(generator, Wanted(spec, k), Settings()).manner
        then = request(replace(generator, model=older), Wanted(spec, k), Settings()).manner
        assert sorted(now) == list(generator.place.branches)
        assert then == max(now, key=lambda row: now[row])


@pytest.mark.parametrize(("best_of", "parts"), [(1, ("networks", 2)), (4, ("candidates", 8))])
def test_a_bar_counts_what_it_says(best_of, parts, pipeline, tmp_path):
    """Networks that were asked for, or the candidates for them."""
    progress = Recorder()
    params = with_section(PARAMS, "sample", samples=2, best_of=best_of)
    demos = pipeline / "demos" if best_of > 1 else None
    inputs = sample.Inputs(pipeline / "generator", ((16, 8),), demos=demos)
    out, options = sample.Outputs(tmp_path / "out"), RunOptions(device="cpu")
    sample.run(params, inputs, out, options=options, progress=progress)
    assert progress.parts[0] == (*parts, 0)


def test_the_best_of_several_is_kept(pipeline, tmp_path):
    """By hand: of candidates 0 to 3 and 4 to 7, the one with the lower loss on the demos."""
    demos = pipeline / "demos"
    drawn(pipeline, tmp_path / "all", ((16, 8),), count=8)
    drawn(pipeline, tmp_path / "best", ((16, 8),), count=2, best_of=4, demos=demos)
    everything, _ = read_samples(tmp_path / "all")
    best, _ = read_samples(tmp_path / "best")
    data = cloning_data(replace(read_demos(demos)[0], interface=everything.interface))
    losses = [network_loss(s.network, everything.interface, data) for s in everything.samples]
    expected = [int(np.argmin(losses[:4])), 4 + int(np.argmin(losses[4:]))]
    assert [one.sample_index for one in best.samples] == expected
    for one in best.samples:
        same = everything.samples[one.sample_index].network.weights
        assert one.network.weights.tobytes() == same.tobytes()


def test_candidates_and_demonstrations_belong_together(pipeline, tmp_path):
    """Neither goes without the other: one line that says what is missing, and nothing written."""
    with pytest.raises(UsageError, match=r"--best-of 3: needs --demos"):
        drawn(pipeline, tmp_path / "out", (None,), best_of=3)
    with pytest.raises(UsageError, match=r"--demos: nothing to choose; give --best-of"):
        drawn(pipeline, tmp_path / "out", (None,), demos=pipeline / "demos")
    assert list(tmp_path.iterdir()) == []


def test_demonstrations_of_another_task_choose_nothing(pipeline, tmp_path):
    """Exit code 4; the line names both artifacts and both tasks."""
    demos, _ = read_demos(pipeline / "demos")
    other = replace(demos, interface=demos.interface._replace(task="PickCube-v1"))
    write_demos(tmp_path / "other", other, Provenance("crafted", {}, 0))
    with pytest.raises(WrongKindError, match=r"found task PickCube-v1, expected Push") as caught:
        drawn(pipeline, tmp_path / "out", (None,), best_of=2, demos=tmp_path / "other")
    assert str(tmp_path / "other") in str(caught.value)
    assert str(pipeline / "generator") in str(caught.value)


@pytest.mark.parametrize("shape", [(40, 8), (8, 20, 8)])
def test_networks_beyond_the_trained_range_are_grown(shape, pipeline, tmp_path):
    """They compute what the network within it does; extrapolated they are others."""
    drawn(pipeline, tmp_path / "grown", (shape,))
    drawn(pipeline, tmp_path / "free", (shape,), beyond="extrapolate")
    one, interface = networks_of(tmp_path / "grown")
    other, _ = networks_of(tmp_path / "free")
    generator = load_generator(pipeline / "generator", "cpu")
    asked = request(generator, Wanted(interface.spec(shape), 0), Settings())
    assert max(asked.spec.hidden_dims) <= 24
    assert len(asked.spec.hidden_dims) <= 2
    ((_, core),) = sample_networks(
        generator.model, [asked], generator.patch_size, generator.standardizer, num_steps=2
    )
    x = np.random.default_rng(0).standard_normal((20, interface.obs_dim)).astype(np.float32)
    outputs = [
        forward(split_layers(interface.spec(network.hidden_dims), network.weights), x)
        for network in (one[0], core)
    ]
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5, atol=1e-6)
    assert (one[0].weights != other[0].weights).mean() > 0.5


def test_what_is_grown_needs_the_memory_of_its_core_alone(pipeline, tmp_path, monkeypatch):
    """A shape whose own attention would not fit is grown; generated as a whole it is refused."""
    monkeypatch.setattr(generation, "COPIES", 10_000)
    drawn(pipeline, tmp_path / "grown", ((2000, 8),))
    ((one,), _) = networks_of(tmp_path / "grown")
    assert one.hidden_dims == (2000, 8)
    with pytest.raises(ResourceError, match=r"^--arch 2000,8: needs "):
        drawn(pipeline, tmp_path / "free", ((2000, 8),), beyond="extrapolate")


def test_the_deepest_network_that_may_be_asked_for_is_written_and_read(pipeline, tmp_path):
    """No command writes an architecture that another does not read."""
    assert drawn(pipeline, tmp_path / "out", ((8,) * MAX_DEPTH,)) == [(8,) * MAX_DEPTH]


@pytest.mark.parametrize("count", [MAX_NETWORKS // 2 + 1, 10**9])
def test_more_networks_than_samples_hold_are_refused_at_once(count, pipeline, tmp_path):
    """Before any architecture is completed; samples count for each pattern."""
    with pytest.raises(UsageError, match=rf"^--samples: {2 * count} networks in all, at most"):
        drawn(pipeline, tmp_path / "out", (None, (8,)), count=count)


def test_networks_that_fit_one_by_one_are_refused_where_all_of_them_do_not(pipeline, tmp_path):
    """Their weights are in memory together: a TiB of them, and not one is generated."""
    with pytest.raises(ResourceError, match=r"^10000 networks: needs \d+\.\d GiB of memory"):
        drawn(pipeline, tmp_path / "out", ((5000, 5000),), count=10_000)


def networks_of(path):
    """Return the networks of samples and their interface."""
    samples, _ = read_samples(path)
    return [one.network for one in samples.samples], samples.interface
