"""The diffusion transformer over architecture tokens, weight patches and bias patches.

Axis letters: B networks of a batch, S tokens, D width, H heads, C entries of content.

Source: Peebles & Xie 2023, "Scalable Diffusion Models with Transformers" (DiT, adaLN-Zero,
arXiv:2212.09748); one time per modality as in UniDiffuser (Bao et al. 2023, arXiv:2303.06555).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nnit.diffusion.batch import TokenBatch
from nnit.diffusion.codes import UnitCodes
from nnit.diffusion.factors import FactoredPatches
from nnit.diffusion.path import visible_share
from nnit.diffusion.sides import OuterSides, TableSides, even_sides, own_sides
from nnit.diffusion.typical import PlaceGrid, TypicalPatches
from nnit.mlp import MAX_WIDTH
from nnit.tokens.sequence import NUM_FEATURES

TIME_FEATURES = 64
HIGHEST_FREQUENCY = 200.0  # radians over the whole of time
ROW_INITIAL_STD = 0.3  # of the embeddings of branches and of tasks
MAX_BLOCKS = 256  # of a transformer
MASKED = -1e4  # added to the attention logits of padding; finite in bfloat16
LATER_FIELDS = (
    "num_tasks",
    "places",
    "rank",
    "typical_rank",
    "outer",
)  # of a configuration; the first ones had none
MAX_RANK = 256  # of the codes of units, and of what is typical of a layer


@dataclass(frozen=True)
class TransformerConfig:
    """The size of the diffusion transformer.

    Raises:
        ValueError: an impossible value.
    """

    patch_size: int
    arch_depths: tuple[int, ...]  # numbers of hidden layers that may be generated
    arch_widths: tuple[int, ...]  # hidden widths that may be generated
    width: int = 256
    depth: int = 6
    heads: int = 4
    num_branches: int = 0  # branches of the zoos that may be asked for; 0: none is told apart
    num_tasks: int = 0  # tasks that may be asked for; 0: there is one, or none is told apart
    places: PlaceGrid | None = None  # with a typical content; None: there is none
    rank: int = 0  # numbers of the code of a unit, where there are places; 0: units have none
    typical_rank: int = 0  # of what is typical of a layer, where there are places; 0: all of it
    outer: tuple[OuterSides, ...] = ()  # of tasks, then of branches; none: as many as places

    def __post_init__(self) -> None:
        counts = (self.num_branches + 1, self.num_tasks + 1)
        sizes = (self.patch_size, self.width, self.depth, self.heads, *counts)
        if min(sizes) < 1 or max(sizes) > MAX_WIDTH or self.depth > MAX_BLOCKS:
            raise ValueError(
                f"sizes must be within 1 to {MAX_WIDTH} and depth to {MAX_BLOCKS}, got {self}"
            )
        object.__setattr__(self, "arch_depths", tuple(self.arch_depths))  # JSON has lists
        object.__setattr__(self, "arch_widths", tuple(self.arch_widths))
        if not (self.arch_depths and self.arch_widths):
            raise ValueError(f"no depth or no width to generate, got {self}")
        if self.places is not None:
            object.__setattr__(self, "places", PlaceGrid(*self.places))
            if not all(1 <= size <= MAX_WIDTH for size in self.places):
                raise ValueError(f"places must be within 1 to {MAX_WIDTH}, got {self.places}")
        highest = MAX_RANK if self.places else 0
        if not (0 <= self.rank <= highest and 0 <= self.typical_rank <= highest):
            raise ValueError(
                f"ranks must be within 0 to {MAX_RANK}, and 0 without places, got {self}"
            )
        object.__setattr__(self, "outer", tuple(OuterSides(*one) for one in self.outer))
        if len(self.outer) not in (0, max(1, self.num_tasks) + self.num_branches) or not all(
            1 <= size <= MAX_WIDTH for one in self.outer for size in one
        ):
            raise ValueError(f"outer sides must be 1 to {MAX_WIDTH} of each owner, got {self}")
        if not all(1 <= value <= MAX_WIDTH for value in (*self.arch_depths, *self.arch_widths)):
            raise ValueError(f"depths and widths must be within 1 to {MAX_WIDTH}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")

    @property
    def vocabulary_size(self) -> int:
        """Values that an architecture token may take: depths, then widths."""
        return len(self.arch_depths) + len(self.arch_widths)

    @property
    def content_size(self) -> int:
        """Entries of a token's content: a weight patch, then a bias patch."""
        return self.patch_size * (self.patch_size + 1)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain data.

        Those that came later are mentioned where they say something, so that the configurations
        from before stay as they were.
        """
        fields = asdict(self)
        return {name: value for name, value in fields.items() if value or name not in LATER_FIELDS}


class TaskPlace(NamedTuple):
    """Where a task is found in the embeddings of a transformer."""

    task: int  # its row among the tasks
    branches: range  # rows of its branches: no two tasks share one


def places_of_tasks(num_branches: Sequence[int]) -> list[TaskPlace]:
    """Return the place of each task, given the number of branches of each."""
    bounds = pairwise(accumulate(num_branches, initial=0))
    return [TaskPlace(task, range(start, end)) for task, (start, end) in enumerate(bounds)]


class Modulation(NamedTuple):
    """What adaLN-Zero does to one branch of a block, each ``(B, 1, D)``."""

    shift: Tensor
    scale: Tensor
    gate: Tensor


def time_features(t: Tensor) -> Tensor:
    """Describe times ``(B,)`` by ``(B, TIME_FEATURES)`` sines and cosines."""
    exponents = torch.linspace(0, math.log(HIGHEST_FREQUENCY), TIME_FEATURES // 2, device=t.device)
    angle = t[:, None] * exponents.exp()
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise ``(B, S, D)`` over channels, then scale and shift by the condition."""
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Scaled dot-product attention of ``(B, H, S, D / H)`` with a bias on the logits.

    On a CPU the plain products are two to five times faster than torch's fused kernel at the
    lengths of our sequences in bfloat16 (7 against 29 ms at B = 32, S = 96, both ways). On a GPU
    cuDNN's kernel is left out: it plans anew for every shape of a batch, and ours all differ.
    """
    if q.device.type != "cpu":
        with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return (logits + bias.to(logits.dtype)).softmax(dim=-1).to(v.dtype) @ v


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each modulated by the condition.

    The feed-forward activation is the squared ReLU (So et al. 2021, "Primer",
    arXiv:2109.08668).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = nn.Linear(width, 6 * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_in = nn.Linear(width, 4 * width)
        self.feed_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, condition: Tensor, bias: Tensor) -> Tensor:
        """Transform ``(B, S, D)`` under the condition ``(B, D)``; ``bias`` is ``(B, 1, 1, S)``."""
        parts = rearrange(self.modulation(condition), "b (n d) -> n b 1 d", n=6)
        attention, feed = Modulation(*parts[:3]), Modulation(*parts[3:])
        projected = self.qkv(modulate(x, attention.shift, attention.scale))
        q, k, v = rearrange(projected, "b s (n h d) -> n b h s d", n=3, h=self.heads)
        mixed = rearrange(attend(q, k, v, bias), "b h s d -> b s (h d)")
        x = x + attention.gate * self.attention_out(mixed)
        hidden = F.relu(self.feed_in(modulate(x, feed.shift, feed.scale))).square()
        return x + feed.gate * self.feed_out(hidden)


class DiffusionTransformer(nn.Module):
    """Predicts clean content from noisy content, for networks of any width and depth.

    A network is said to be like a branch of the hypernetwork, or like several: of what stands for
    each, in the condition of every block and in what is typical, it has its share.

    What tells tasks apart is a row that is added to the condition of every block, for weights and
    for architectures; the sizes of observations and actions are in the features of the tokens.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.features_in = nn.Sequential(
            nn.Linear(NUM_FEATURES, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )
        self.content_in = nn.Linear(config.content_size, width)
        if config.places is not None:
            self.typical = build_typical(config)
            if config.rank:
                self.codes = UnitCodes(*sides_of(config), config.patch_size, config.rank, width)
        self.condition = nn.Sequential(
            nn.Linear(2 * TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        if config.num_branches:  # the last row stands for UNKNOWN_BRANCH
            self.branch_in = nn.Embedding(config.num_branches + 1, width)
        if config.num_tasks:
            self.task_in = nn.Embedding(config.num_tasks, width)
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.depth))
        self.out_modulation = nn.Linear(width, 2 * width)
        self.content_out = nn.Linear(width, config.content_size)
        self.arch_out = nn.Linear(width, config.vocabulary_size)
        self._initialise()

    def _initialise(self) -> None:
        """Every block starts as the identity, and the prediction as zero (adaLN-Zero)."""
        for module in self.modules():
            if isinstance(module, Block):
                for layer in (
                    module.qkv,
                    module.attention_out,
                    module.feed_in,
                    module.feed_out,
                ):
                    nn.init.xavier_uniform_(layer.weight)
                    nn.init.zeros_(layer.bias)
                nn.init.zeros_(module.modulation.weight)
                nn.init.zeros_(module.modulation.bias)
        if self.config.num_branches:
            nn.init.normal_(self.branch_in.weight, std=ROW_INITIAL_STD)
        if self.config.num_tasks:
            nn.init.normal_(self.task_in.weight, std=ROW_INITIAL_STD)
        cores = [self.codes.core] if self.config.rank else []
        for layer in (self.out_modulation, self.content_out, self.arch_out, *cores):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, batch: TokenBatch, t_arch: Tensor, t_weight: Tensor) -> Tensor:
        """Predict the clean content ``(B, S, C)`` of a batch.

        Args:
            batch: Networks with noisy content.
            t_arch: Time of the architecture tokens ``(B,)``; 1 where they are given.
            t_weight: Time of the patches ``(B,)``; 0 where there are none.
        """
        if self.config.places is None:
            return self._predict(batch, t_arch, t_weight)
        typical = self.typical(batch)
        t = t_weight[:, None, None]
        beside = visible_share(t) * (batch.content - t * typical)
        return typical + self._predict(batch._replace(content=beside), t_arch, t_weight)

    def _predict(self, batch: TokenBatch, t_arch: Tensor, t_weight: Tensor) -> Tensor:
        """Return what the last layer says, in float32 whatever the products before it are in."""
        hidden = self._transform(batch, t_arch, t_weight).float()
        with torch.autocast(hidden.device.type, enabled=False):
            content = self.content_out(hidden)
            return content + self.codes(hidden, batch) if self.config.rank else content

    def architecture_logits(self, batch: TokenBatch, t_arch: Tensor) -> Tensor:
        """Predict masked architecture tokens from architecture tokens alone.

        Args:
            batch: Sequences without patches.
            t_arch: Share of the architecture tokens that is known ``(B,)``.

        Returns:
            Logits ``(B, S, V)`` over depths and widths of the configuration.
        """
        hidden = self._transform(batch, t_arch, torch.zeros_like(t_arch))
        return self.arch_out(hidden).float()

    def _transform(self, batch: TokenBatch, t_arch: Tensor, t_weight: Tensor) -> Tensor:
        """Return the modulated last layer ``(B, S, D)``."""
        x = self.features_in(batch.features) + self.content_in(batch.content)  # (B, S, D)
        times = torch.cat([time_features(t_arch), time_features(t_weight)], dim=-1)
        condition = self.condition(times)  # (B, D)
        if self.config.num_branches:
            rows = batch.branch % (self.config.num_branches + 1)
            for row, share in zip(rows.T, batch.share.T, strict=True):
                condition = condition + share[:, None] * self.branch_in(row)
        if self.config.num_tasks:
            condition = condition + self.task_in(batch.task)
        bias = torch.where(batch.real, 0.0, MASKED)[:, None, None, :]  # (B, 1, 1, S)
        for block in self.blocks:
            x = block(x, condition, bias)
        shift, scale = rearrange(self.out_modulation(condition), "b (n d) -> n b 1 d", n=2)
        return modulate(x, shift, scale)


def sides_of(config: TransformerConfig) -> tuple[TableSides, TableSides]:
    """Return the patches of the sides of tasks, and of branches."""
    assert config.places is not None
    num_tasks = max(1, config.num_tasks)
    if config.outer:
        hidden = -(-max(config.arch_widths) // config.patch_size)
        owners = config.outer[:num_tasks], config.outer[num_tasks:]
        return own_sides(hidden, owners[0]), own_sides(hidden, owners[1])
    _, *cells = config.places
    return even_sides(num_tasks, *cells), even_sides(config.num_branches, *cells)


def build_typical(config: TransformerConfig) -> TypicalPatches | FactoredPatches:
    """Return what keeps the typical content of places, with nothing in it yet."""
    assert config.places is not None
    if config.typical_rank:
        sides = sides_of(config)
        return FactoredPatches(config.places, *sides, config.patch_size, config.typical_rank)
    num_tasks = max(1, config.num_tasks)
    return TypicalPatches(config.places, num_tasks, config.num_branches, config.content_size)


def build_transformer(config: TransformerConfig, seed: int) -> DiffusionTransformer:
    """Make a freshly initialised transformer from a seed; torch's global generator is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DiffusionTransformer(config)
