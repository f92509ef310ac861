r"""Put the films of a rollout side by side, as the moving picture of the README.

    nnit sample --model common --task PushCube-v1 --arch 64,96 \
        --arch 128,256,128 --arch 500,512 --arch 64,64,64,64,64,64 --out build/shown
    nnit rollout build/shown --video --out build/filmed
    python -m docs.moving_picture build/filmed docs/figures/robots.gif

The films are those of ``nnit rollout --video``; each has its network's architecture below it.
"""

import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageDraw

from nnit.artifacts.rollouts import VIDEOS, read_rollouts
from nnit.mlp import format_architecture

SIDE = 224  # pixels of a film
SKY = 56  # rows above the robots, which are left out
CAPTION = 18  # rows
EVERY = 2  # pictures of a film; the others are left out
COLOURS = 256
LINGER_S = 1.2  # on the last picture


def read_film(path: Path) -> tuple[np.ndarray, float]:
    """Return pictures ``(N, SIDE, SIDE, 3)`` uint8 and the seconds of each."""
    raw = ["-vf", f"scale={SIDE}:{SIDE}", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), *raw]
    shown = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
    pictures = np.frombuffer(shown, np.uint8).reshape(-1, SIDE, SIDE, 3)[::EVERY]
    _, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    assert seconds is not None
    return pictures, seconds / len(pictures)


def side_by_side(pictures: list[np.ndarray], captions: list[str]) -> Image.Image:
    """Return one picture of all films."""
    width = SIDE * len(pictures)
    joined = Image.new("RGB", (width, SIDE - SKY + CAPTION), "white")
    draw = ImageDraw.Draw(joined)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        joined.paste(Image.fromarray(picture[SKY:]), (place * SIDE, 0))
        middle = (place * SIDE + SIDE // 2, SIDE - SKY + CAPTION // 2)
        draw.text(middle, caption, fill="black", anchor="mm")
    return joined


def main(rollouts: Path, out: Path) -> None:
    """Write the moving picture; a film that is over stands still."""
    evaluations = read_rollouts(rollouts)[0].evaluations
    films, captions, seconds = [], [], 0.0
    for evaluation in evaluations:
        path = rollouts / VIDEOS / f"{evaluation.name}.mp4"
        if path.exists():
            pictures, seconds = read_film(path)
            films.append(pictures)
            captions.append(format_architecture(evaluation.hidden_dims))
    if not films:
        sys.exit(f"{rollouts}: has no films; make them with `nnit rollout --video`")
    length = max(len(film) for film in films)
    frames = [
        side_by_side([film[min(k, len(film) - 1)] for film in films], captions)
        for k in range(length)
    ]
    palette = frames[0].quantize(COLOURS, Image.Quantize.MAXCOVERAGE)  # one for all: no flicker
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [round(1000 * seconds)] * (length - 1) + [round(1000 * LINGER_S)]
    frames[0].save(out, save_all=True, append_images=frames[1:], duration=durations, loop=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
