"""Images: how fast they are rendered, and how fast landmarks and poses are found in them."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import lifter
import posesynth
from lifter.data.images import load_image
from lifter.data.images.frames import find_frames
from lifter.draw.predictions import draw_prediction
from lifter.image_config import PRESETS
from lifter.images.model import ImageNetworks
from lifter.images.pipeline import BATCH, ImageModel
from lifter.images.predict import find_track
from posesynth.render import render

from .measure import alternate, table

COUNT = 2 * BATCH
PHOTO = (1024, 768)


@contextmanager
def clocked(model: ImageModel) -> Iterator[list[float]]:
    """Seconds inside the networks of images, and inside the lifter's."""
    spent: list[float] = []

    def timed(work: Any) -> Any:
        def call(*arguments: Any) -> Any:
            begin = time.perf_counter()
            made = work(*arguments)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            spent.append(time.perf_counter() - begin)
            return made

        return call

    found, lifted = model._found, model.lifter._lift
    model._found, model.lifter._lift = timed(found), timed(lifted)  # type: ignore[method-assign]
    yield spent
    model._found, model.lifter._lift = found, lifted  # type: ignore[method-assign]


def images() -> None:
    """Rendering 256 x 256 images; and JPEGs of 1024 x 768, whole, to poses: reading, cropping, networks of the preset's
    size with random weights, lifting. Pictures are drawn after that, and take the time told below.
    """
    skeleton = posesynth.load_skeleton("quadruped")
    start = 0

    def rendered() -> int:
        nonlocal start
        start += 64
        return len(render(skeleton, 0, start - 64, start, 256).image)

    print(f"Rendered: {alternate({'render': rendered}, rounds=3, seconds=2)['render'].median:.0f} images/s.\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n, image in enumerate(render(skeleton, 1, 0, COUNT, 256).image):
            Image.fromarray(image).resize(PHOTO).save(Path(folder) / f"{n:03}.jpg", quality=90)
        frames = find_frames([folder])
        for preset in ("small", "paper"):
            config = PRESETS[preset]["nms"]
            net = ImageNetworks(config, len(skeleton.joints)).eval()
            device = "cuda" if torch.cuda.is_available() else "cpu"
            model = ImageModel(net, skeleton, config, skeleton.joints, lifter.load("quadruped"), preset, device)
            find_track(model, frames)
            with clocked(model) as spent:
                begin = time.perf_counter()
                track = find_track(model, frames, None, 0.0)
                seconds = time.perf_counter() - begin
            outside = 100 * (1 - sum(spent) / seconds)
            rows.append((f"{preset}, {config.size} pixels", f"{COUNT / seconds:.1f}", f"{outside:.0f} %"))
        print(table(("networks", "images/s", "time outside the networks"), rows))
        image = load_image(frames.paths[0])
        begin = time.perf_counter()
        for step in range(5):
            draw_prediction(image, track, step, [], 0.0, Path(folder) / "picture.jpg")
        drawing = (time.perf_counter() - begin) / 5
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"\nA picture takes {drawing:.2f} s. One run; {device}, torch {torch.__version__}, numpy {np.__version__}.")
