"""The parameters of every stage: the single home of defaults, and the checks on them.

One model per stage; the section of ``params.yaml`` has the command's name in snake case.
``stages.params_file`` reads the file; ``override`` lays command-line flags over a section.
``--help`` is made of the sections: tasks are imported when one is named, and not before.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator
from pydantic.config import JsonDict

from nnit.architectures import HELD_OUT_KINDS, TrainingRange, rule_fault
from nnit.engine import Engine, Shard
from nnit.errors import UsageError
from nnit.faults import Fault, RulesError
from nnit.mlp import MAX_WIDTH, Architecture
from nnit.ranks import ALONE, Ranks


def known_task(name: str) -> str:
    """Return a task's name where nnit knows it; the ValueError says which ones there are.

    A file is looked at when the task is needed, not when parameters are read.
    """
    from nnit.tasks.registry import check_name
    from nnit.tasks.task import TaskRef

    try:
        check_name(TaskRef(name, typed=True))
    except UsageError as error:
        raise ValueError(str(error).partition(": ")[2]) from None
    return name


Count = Annotated[int, Strict(), Field(gt=0, le=10**9)]
Size = Annotated[int, Strict(), Field(gt=0, le=65_536)]  # of a layer of ours
Blocks = Annotated[int, Strict(), Field(gt=0, le=256)]
Index = Annotated[int, Strict(), Field(ge=0, lt=2**31)]
Switch = Annotated[bool, Strict()]
Rate = Annotated[float, Strict(), Field(gt=0, le=1, allow_inf_nan=False)]
Width = Annotated[int, Strict(), Field(gt=0, le=MAX_WIDTH)]
Widths = tuple[Width, ...]
HiddenDims = Annotated[Widths, Field(min_length=1)]
Precision = Literal["auto", "float32", "bfloat16"]
COUNTED: JsonDict = {"short": "-n"}  # the short form of its flag


class Section(BaseModel):
    """A part of ``params.yaml``: unknown keys are refused and values don't change."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)


class HeldOutParams(Section):
    """Architectures that no training may see, by kind (see ``nnit.architectures``)."""

    unseen_combo: tuple[HiddenDims, ...] = Field(
        default=(
            (128, 256, 128),
            (64, 96),
            (192, 64, 32),
            (48, 144, 48, 96),
            (224, 16, 80),
            (32, 112, 176),
        ),
        description="trained widths in an order that no training network has",
    )
    unseen_width: tuple[HiddenDims, ...] = Field(
        default=((40, 72), (100, 37), (104, 40, 104), (200, 100), (150,), (75, 225, 37, 150)),
        description="at least one width that no training network has",
    )
    wider: tuple[HiddenDims, ...] = Field(
        default=((320,), (288, 128), (320, 320), (384, 256), (448, 96, 64), (500, 512)),
        description="a width beyond the largest trained one, up to twice it",
    )
    deeper: tuple[HiddenDims, ...] = Field(
        default=(
            (64,) * 5,
            (96, 64, 96, 64, 96),
            (64,) * 6,
            (128, 96, 64, 64, 96, 128),
            (80, 48, 112, 32, 144),
            (75, 37, 100, 50, 150, 25),
        ),
        description="more hidden layers than any training network",
    )

    def listed(self) -> tuple[Architecture, ...]:
        """Return all of them, kind after kind."""
        return tuple(dims for kind in HELD_OUT_KINDS for dims in getattr(self, kind))


class ArchitecturesParams(Section):
    """What training networks look like, and which architectures are held out."""

    widths_min: Width = Field(default=16, description="smallest trained width")
    widths_max: Width = Field(default=256, description="largest trained width")
    width_step: Width = Field(default=4, description="distance between trained widths")
    depth_min: Count = Field(default=1, description="fewest hidden layers of a training network")
    depth_max: Annotated[Count, Field(le=64)] = Field(
        default=4, description="most hidden layers of a training network"
    )
    held_out_widths: Widths = Field(
        default=(40, 72, 100, 104, 200), description="widths in no training network at any layer"
    )
    held_out: HeldOutParams = Field(
        default_factory=HeldOutParams,
        description="architectures that are evaluated and never trained on",
    )

    def training_range(self) -> TrainingRange:
        """Return the same as the library's type."""
        return TrainingRange(
            self.widths_min,
            self.widths_max,
            self.width_step,
            self.depth_min,
            self.depth_max,
            self.held_out_widths,
            self.held_out.listed(),
        )

    @model_validator(mode="after")
    def _follow_the_rules(self) -> Self:
        faults = range_faults(self) or held_out_faults(self)
        if faults:
            raise RulesError(faults)
        return self


def range_faults(params: ArchitecturesParams) -> list[Fault]:
    """Return what is wrong with the range of widths and depths."""
    faults: list[Fault] = []
    if params.widths_max < params.widths_min:
        text = f"must be at least widths_min, {params.widths_min} (got {params.widths_max})"
        faults.append((("widths_max",), text))
    if params.depth_max < params.depth_min:
        text = f"must be at least depth_min, {params.depth_min} (got {params.depth_max})"
        faults.append((("depth_max",), text))
    if faults:
        return faults
    training = params.training_range()
    widths = training.trainable_widths()
    if not widths:
        return [(("held_out_widths",), "leaves no width to train on")]
    for depth in range(params.depth_min, params.depth_max + 1):
        held_out = {d for d in training.held_out if len(d) == depth and set(d) <= set(widths)}
        if len(held_out) == len(widths) ** depth:
            faults.append((("held_out",), f"leaves nothing of depth {depth} to train on"))
    return faults


def held_out_faults(params: ArchitecturesParams) -> list[Fault]:
    """Return every held-out architecture that breaks the rule of its kind or is listed twice."""
    training = params.training_range()
    faults: list[Fault] = []
    seen: set[Architecture] = set()
    for kind in HELD_OUT_KINDS:
        for index, hidden_dims in enumerate(getattr(params.held_out, kind)):
            fault = rule_fault(hidden_dims, kind, training)
            if hidden_dims in seen:
                fault = "is listed twice"
            seen.add(hidden_dims)
            if fault:
                faults.append((("held_out", kind, index), fault))
    return faults


class DemosParams(Section):
    """``nnit demos``."""

    episodes: Count | None = Field(
        default=None,
        description="episodes to collect; null: the task's own number",
        json_schema_extra=COUNTED,
    )
    noise: Annotated[float, Strict(), Field(ge=0, le=10, allow_inf_nan=False)] | None = Field(
        default=None, description="standard deviation of the action noise; null: the task's own"
    )
    input_dropout: Annotated[float, Strict(), Field(ge=0, lt=1, allow_inf_nan=False)] | None = (
        Field(
            default=None,
            description="share of an observation that is hidden at random while networks learn; "
            "null: the task's own",
        )
    )
    first_seed: Index | None = Field(
        default=None, description="reset seed of the first episode; null: the task's own"
    )


class GhnTrainParams(Section):
    """``nnit ghn-train``."""

    steps: Count = Field(default=12000, description="optimiser steps")
    architectures_per_step: Count = Field(
        default=4, description="architectures drawn for each step"
    )
    batch_size: Count = Field(default=512, description="transitions for each architecture")
    learning_rate: Rate = Field(
        default=3e-3,
        description="peak of the learning rate, in one cycle; 1e-3 suits other decoders, and "
        "with --objective ppo 1e-4 is the default",
    )
    decoder: Literal["carrier", "cnn", "pointwise"] = Field(
        default="carrier",
        description="how weights are written; carrier: units have codes of their own; cnn: "
        "neighbouring weights are made together; pointwise: each alone",
    )
    checkpoint_every: Count = Field(default=200, description="steps between checkpoints")
    precision: Precision = Field(
        default="auto",
        description="numbers to compute with; auto: float32 on a CPU, bfloat16 on a GPU",
    )


class PpoParams(Section):
    """``nnit ghn-train --objective ppo``."""

    iterations: Count = Field(default=60, description="times that policies explore and learn")
    architectures: Count = Field(default=8, description="architectures drawn for an iteration")
    steps: Count | None = Field(
        default=None,
        description="control steps of each of them; null: an episode, and min_steps at least",
    )
    min_steps: Count = Field(
        default=512, description="fewest control steps of each, where steps is null"
    )
    epochs: Count = Field(default=4, description="passes over the transitions of an iteration")
    minibatches: Count = Field(default=2, description="minibatches of a pass")
    learning_rate: Rate = Field(
        default=1e-4, description="learning rate of the hypernetwork at the start; falls linearly"
    )
    critic_learning_rate: Rate = Field(
        default=2e-3,
        description="learning rate of critic and exploration at the start; falls linearly",
    )
    discount: Rate = Field(default=0.99, description="discount of later rewards (gamma)")
    decay: Rate = Field(default=0.95, description="decay of the advantage estimates (lambda)")
    clip: Rate = Field(default=0.2, description="how far a probability may change in an iteration")
    entropy_share: Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=0.0, description="weight of the entropy beside the objective"
    )
    sim_backend: Literal["physx_cpu", "physx_cuda"] = Field(
        default="physx_cpu", description="physics by processes on the CPU, or by ManiSkill on a GPU"
    )
    checkpoint_every: Count = Field(default=10, description="iterations between checkpoints")


class ZooExportParams(Section):
    """``nnit zoo-export``."""

    branches: Count = Field(
        default=4, description="copies of the GHN that are trained on separately"
    )
    branch_noise: Annotated[float, Strict(), Field(ge=0, le=10, allow_inf_nan=False)] = Field(
        default=0.2,
        description="noise on the codes of units that each branch begins with, of their size",
    )
    branch_steps: Count = Field(default=600, description="optimiser steps of each branch")
    branch_learning_rate: Rate = Field(
        default=2e-3, description="peak of the learning rate of each branch, in one cycle"
    )
    networks: Count = Field(
        default=800,
        description="networks of drawn architectures; those of repeated ones come beside them",
    )
    repeated: tuple[HiddenDims, ...] = Field(
        default=((32,), (64, 64), (128, 48), (96, 32, 64), (64, 48, 80, 32)),
        description="architectures that the zoo has several networks of, to compare them",
    )
    repeats: Count = Field(
        default=16,
        description="networks of each repeated architecture, beside those that are drawn",
    )
    fine_tune_steps: Index = Field(default=200, description="optimiser steps of each network alone")
    fine_tune_learning_rate: Rate = Field(
        default=3e-4, description="learning rate at the start; falls as a cosine"
    )
    fine_tune_epsilon: Rate = Field(
        default=1e-8,
        description="epsilon of Adam; a larger one moves less what the loss hardly feels",
    )
    batch_size: Count = Field(default=256, description="transitions in a fine-tuning batch")


class ZooRefineParams(Section):
    """``nnit zoo-refine``."""

    networks: Count | None = Field(
        default=None, description="architectures that are drawn; null: as many as in zoo_export"
    )
    steps: Index = Field(default=1000, description="optimiser steps of each network alone")
    learning_rate: Rate = Field(
        default=3e-3, description="learning rate at the start; falls as a cosine"
    )
    epsilon: Rate = Field(
        default=1e-4,
        description="epsilon of Adam; a larger one moves less what the loss hardly feels",
    )
    batch_size: Count = Field(default=256, description="transitions in a batch")


class TokenizeParams(Section):
    """``nnit tokenize``."""

    patch: Annotated[Count, Field(le=256)] = Field(default=16, description="side of a weight patch")
    branches: Switch = Field(
        default=True, description="say which branch wrote a network; false: all are of one"
    )


class DiffuseTrainParams(Section):
    """``nnit diffuse-train``."""

    steps: Count = Field(default=6500, description="optimiser steps")
    width: Size = Field(default=192, description="width of a token in the transformer")
    depth: Blocks = Field(default=4, description="transformer blocks")
    heads: Count = Field(default=4, description="attention heads; must divide width")
    rank: Annotated[int, Strict(), Field(ge=0, le=256)] = Field(
        default=32, description="numbers in the code of a unit; 0: units have none"
    )
    typical_rank: Annotated[int, Strict(), Field(ge=0, le=256)] = Field(
        default=0, description="rank of what is typical of a layer, in a smaller file; 0: all of it"
    )
    learning_rate: Rate = Field(default=1e-3, description="peak of the learning rate, in one cycle")
    tokens_per_batch: Count = Field(default=1024, description="tokens in a batch, padding included")
    least_tokens: Annotated[int, Strict(), Field(ge=0)] = Field(
        default=128, description="room of a small network in a batch, so that few share a step"
    )
    small_tokens: Annotated[int, Strict(), Field(ge=0)] = Field(
        default=64, description="a network of at most so many tokens is small"
    )
    small_times: Annotated[int, Strict(), Field(ge=1, le=100)] = Field(
        default=3, description="how often a small network comes beside a larger one"
    )
    ema_decay: Annotated[float, Strict(), Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.995, description="decay of the weight average that samples are drawn with"
    )
    cloning_share: Annotated[float, Strict(), Field(gt=0, le=100, allow_inf_nan=False)] = Field(
        default=0.3, description="weight of predicted networks' cloning loss, given --demos"
    )
    cloning_batch_size: Count = Field(
        default=256, description="transitions for each predicted network, given --demos"
    )
    weights: dict[str, Annotated[int, Strict(), Field(ge=1, le=100)]] = Field(
        default={}, description="how often a task comes beside another; 1 where none is said"
    )
    objective: Literal["diffusion", "regression"] = Field(
        default="diffusion",
        description="what is learnt; diffusion: weights out of noise; regression: weights at once",
    )
    mixed_share: Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="share of networks moved between two branches; null: 0.3 with --from, else 0",
    )
    adapter_rank: Annotated[int, Strict(), Field(ge=0, le=256)] = Field(
        default=32,
        description="rank of what is trained beside --from for a further task; 0: all is trained",
    )
    checkpoint_every: Count = Field(default=200, description="steps between checkpoints")
    precision: Precision = Field(
        default="auto",
        description="numbers to compute with; auto: bfloat16 where the hardware multiplies it, "
        "else float32",
    )
    storage: Literal["float32", "bfloat16"] = Field(
        default="float32", description="how the generator is stored: bfloat16 takes half the space"
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise RulesError([(("heads",), f"must divide width, {self.width} (got {self.heads})")])
        return self


class SampleParams(Section):
    """``nnit sample``."""

    steps: Index = Field(
        default=10,
        description="steps of the sampler from noise to weights; 0: the mean of the branch",
    )
    samples: Count = Field(
        default=1, description="networks for each architecture", json_schema_extra=COUNTED
    )
    beyond: Literal["grow", "extrapolate"] = Field(
        default="grow",
        description="what is beyond the trained widths and depths; grow: enlarge a network within "
        "them, whose function stays; extrapolate: generate all units",
    )
    best_of: Count = Field(
        default=1, description="candidates for each network; the best on --demos is kept"
    )


class RolloutParams(Section):
    """``nnit rollout``."""

    episodes: Count | None = Field(
        default=None, description="episodes for each network; null: the task's own number"
    )
    first_seed: Index = Field(default=0, description="reset seed of the first episode")
    sim_backend: Literal["physx_cpu", "physx_cuda"] = Field(
        default="physx_cpu", description="physics on the CPU, or many environments at once on a GPU"
    )
    trajectories: Switch = Field(
        default=False, description="keep every episode step by step too, in ManiSkill's format"
    )
    ghn_baseline: Switch = Field(
        default=True, description="run the GHN asked for each shape too, given --ghn"
    )
    cloned_baseline: Switch = Field(
        default=True, description="run a network of each shape cloned directly too, given --demos"
    )
    constant_baseline: Switch = Field(
        default=False, description="run the mean action of the demonstrations too, given --demos"
    )
    clone_steps: Count = Field(
        default=8000, description="optimiser steps of a directly cloned network"
    )


class FrontierParams(Section):
    """``nnit frontier``."""

    shapes: Count = Field(default=200, description="architectures that are tried")
    spread: Literal["stratified", "generated"] = Field(
        default="stratified",
        description="how shapes are drawn; stratified: even in log parameters; generated: by the "
        "generator",
    )
    steps: Count = Field(default=10, description="steps of the sampler from noise to weights")
    first_episodes: Count = Field(default=10, description="episodes of a round")
    race_episodes: Count = Field(
        default=40, description="episodes of a shape that is not clearly dominated before"
    )
    episodes: Count = Field(default=100, description="episodes of a shape of the front")
    confirm_episodes: Index = Field(
        default=200,
        description="further episodes of a shape of the front, which it was not chosen by; 0: none",
    )
    first_seed: Index = Field(default=0, description="reset seed of the first episode")
    alpha: Annotated[float, Strict(), Field(gt=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.05, description="chance that a shape of the front is dropped as dominated"
    )
    tolerance: Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=0.0, description="lead in success that a smaller shape needs to dominate"
    )
    floor: Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=0.5, description="success below which a shape is not on the front"
    )
    min_success: Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=0.95, description="lower bound of success that the smallest network needs"
    )

    @model_validator(mode="after")
    def _rounds_fit(self) -> Self:
        if not self.first_episodes <= self.race_episodes <= self.episodes:
            text = (
                f"must be within first_episodes, {self.first_episodes}, and episodes, "
                f"{self.episodes} (got {self.race_episodes})"
            )
            raise RulesError([(("race_episodes",), text)])
        return self


class AuditParams(Section):
    """``nnit audit``."""

    states: Count = Field(default=2000, description="states on which actions are compared")
    repeats: Annotated[Count, Field(ge=2)] = Field(
        default=16, description="zoo networks of one shape that make its distances the usual ones"
    )


class AlignReportParams(Section):
    """``nnit align-report``."""

    states: Count = Field(default=2000, description="states on which hidden units are compared")
    repeats: Annotated[Count, Field(ge=2)] = Field(
        default=16, description="zoo networks of one shape from which pairs are drawn"
    )
    shapes: Count = Field(
        default=8, description="repeated shapes of a zoo that are compared, at most"
    )
    pairs: Count = Field(default=8, description="pairs of each shape, and across widths")


class ZooAloneParams(Section):
    """``nnit zoo-alone``."""

    networks: Count | None = Field(
        default=None, description="architectures that are drawn; null: as many as in zoo_export"
    )
    steps: Count = Field(default=2000, description="optimiser steps of each network alone")
    learning_rate: Rate = Field(
        default=8e-3, description="learning rate at the start; falls as a cosine"
    )


class FlatTrainParams(Section):
    """``nnit flat-train``."""

    autoencoder_steps: Count = Field(
        default=2000, description="optimiser steps of the autoencoder, before the diffusion"
    )
    steps: Count = Field(default=6500, description="optimiser steps of the diffusion")
    latents: Size = Field(default=512, description="numbers that stand for a network")
    width: Size = Field(default=768, description="width of the denoiser")
    depth: Blocks = Field(default=4, description="blocks of the denoiser")
    batch_size: Count = Field(default=16, description="networks in a batch of the autoencoder")
    latent_batch_size: Count = Field(default=64, description="networks in a batch of the diffusion")
    learning_rate: Rate = Field(
        default=1e-3, description="peak of both learning rates, in one cycle each"
    )
    ema_decay: Annotated[float, Strict(), Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        default=0.995, description="decay of the weight average that samples are drawn with"
    )
    checkpoint_every: Count = Field(default=200, description="steps between checkpoints")
    precision: Precision = Field(
        default="auto",
        description="numbers to compute with; auto: bfloat16 where the hardware multiplies it, "
        "else float32",
    )


class FlatSampleParams(Section):
    """``nnit flat-sample``."""

    steps: Count = Field(default=10, description="steps of the sampler from noise to latents")
    samples: Count = Field(
        default=1, description="networks for each architecture", json_schema_extra=COUNTED
    )


class BaselineParams(Section):
    """``nnit baseline``."""

    averaged: Count = Field(default=16, description="nearest networks that are averaged")
    noise: Annotated[float, Strict(), Field(ge=0, le=10, allow_inf_nan=False)] = Field(
        default=0.05, description="size of the noise, in standard deviations of a layer's weights"
    )
    samples: Count = Field(
        default=1, description="networks for each architecture", json_schema_extra=COUNTED
    )
    clone_steps: Count = Field(
        default=8000, description="optimiser steps of a network that is trained for it"
    )


class Params(Section):
    """All of ``params.yaml``."""

    seed: Annotated[int, Strict(), Field(ge=0, lt=2**63)] = Field(
        default=0, description="the seed that every random number comes from"
    )
    task: Annotated[str, AfterValidator(known_task)] = Field(
        default="PushCube-v1", description="the task: an id, or a file such as ./my_task.py"
    )
    data: str | None = Field(
        default=None, description="a file of labelled examples, for tasks that are made of one"
    )
    architectures: ArchitecturesParams = Field(default_factory=ArchitecturesParams)
    demos: DemosParams = Field(default_factory=DemosParams)
    ghn_train: GhnTrainParams = Field(default_factory=GhnTrainParams)
    ppo: PpoParams = Field(default_factory=PpoParams)
    zoo_export: ZooExportParams = Field(default_factory=ZooExportParams)
    zoo_refine: ZooRefineParams = Field(default_factory=ZooRefineParams)
    tokenize: TokenizeParams = Field(default_factory=TokenizeParams)
    diffuse_train: DiffuseTrainParams = Field(default_factory=DiffuseTrainParams)
    sample: SampleParams = Field(default_factory=SampleParams)
    rollout: RolloutParams = Field(default_factory=RolloutParams)
    frontier: FrontierParams = Field(default_factory=FrontierParams)
    audit: AuditParams = Field(default_factory=AuditParams)
    align_report: AlignReportParams = Field(default_factory=AlignReportParams)
    zoo_alone: ZooAloneParams = Field(default_factory=ZooAloneParams)
    flat_train: FlatTrainParams = Field(default_factory=FlatTrainParams)
    flat_sample: FlatSampleParams = Field(default_factory=FlatSampleParams)
    baseline: BaselineParams = Field(default_factory=BaselineParams)


@dataclass(frozen=True)
class RunOptions:
    """What a run is told beside its parameters; none of it but the seed changes a result."""

    seed: int = 0
    device: str = "auto"  # "auto", "cpu", "cuda" or "cuda:1"
    workers: int = 0  # processes; 0: one per core
    scheduler: str | None = None  # HOST:PORT of a Dask scheduler, whose workers are taken instead
    shard: Shard | None = None  # which part of the units is run; the others are by other runs
    merged: int = 0  # shards that have run all units; 0: there are none
    force: bool = False  # replace an output that exists
    resume: bool = False  # go on from the last checkpoint where there is one
    compile: bool = False  # by torch.compile, where a step is large
    ranks: Ranks = ALONE  # which of the processes that train together this one is
    trackers: tuple[str, ...] = ()  # that a training tells its figures, beside its log

    @property
    def engine(self) -> Engine:
        """What runs units of work."""
        return Engine(self.workers, self.scheduler, self.shard, self.merged)
