"""Small image configurations and sources, and folders and annotated sets to train on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import posesynth
from lifter.image_config import ImageConfig
from lifter.images.sources import RenderedImages

TINY = ImageConfig(
    size=64, width=2, code=4, steps=5, batch=2, sigma=2.5, learning_rate=1e-3, schedule="one-cycle", precision="32"
)
QUADRUPED = posesynth.load_skeleton("quadruped")


def source(**values: Any) -> RenderedImages:
    return RenderedImages(QUADRUPED, TINY.with_values(**values))


def plain(folder: Path) -> Path:
    """A folder of 20 plain images, each of one colour."""
    for number in range(20):
        Image.new("RGB", (90, 70), (10 * number, 100, 255 - 10 * number)).save(folder / f"{number:02}.png")
    return folder


def annotated(
    folder: Path, chance: np.random.Generator, images: int = 12, each: int = 1, box: list[float] | None = None
) -> Path:
    """A set in COCO's format: labels of all joints but the tail, and a dot at each head, on images of several greys."""
    folder.mkdir(exist_ok=True)
    names = [name for name in QUADRUPED.joints if name != "tail"]
    files, labels = [], []
    for number in range(images):
        canvas = np.full((110, 130, 3), 5 * number, np.uint8)
        for _ in range(each):
            points = chance.integers(30, 90, (len(names), 2))
            x, y = points[names.index("head")]
            canvas[y - 1 : y + 2, x - 1 : x + 2] = 255
            flat = [float(value) for point in points for value in (point[0] + 0.5, point[1] + 0.5, 2)]
            label = {"id": len(labels), "image_id": number, "category_id": 1, "keypoints": flat}
            labels.append(label | {"num_keypoints": len(names)} | ({"bbox": box} if box else {}))
        Image.fromarray(canvas).save(folder / f"{number}.png")
        files.append({"id": number, "file_name": f"{number}.png", "width": 130, "height": 110})
    document = {"images": files, "annotations": labels, "categories": [{"id": 1, "keypoints": names}]}
    (folder / "labels.json").write_text(json.dumps(document))
    return folder / "labels.json"
