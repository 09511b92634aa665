"""What the autoencoder is worth where labels are few: ``python -m tests.benchmarks.few_labels AUTOENCODER OUT``.

AUTOENCODER is a run of `lifter train-images` whose first three stages are done.  For each number of labelled images the
landmarks stage is trained with it frozen, tuned further, and with the same network from scratch, all with the same
images, augmentation and steps, and measured on synthetic images that nothing was trained on.  Results go to
OUT/few_labels.jsonl, one line a run; runs that are there are not made again.  The picture, of the better learning rate
for each, goes to docs/images/few-labels.png.

LABELS, RATES, SEEDS (numbers apart by commas) and FEW_STEPS say which runs; PART=i/n makes every n-th of them only.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from lifter.draw.figure import new_figure, written
from lifter.image_config import TRANSFERS
from lifter.images import training as image_training
from lifter.images.model import load_images
from posesynth.draw import FAINT, INK, LEFT, PAPER, RIGHT, SHADE

LABELS = [int(word) for word in os.environ.get("LABELS", "10,30,100,300,1000").split(",")]
RATES = [float(word) for word in os.environ.get("RATES", "2e-3").split(",")]
SEEDS = [int(word) for word in os.environ.get("SEEDS", "0").split(",")]
STEPS = int(os.environ.get("FEW_STEPS", "500"))
HELD_OUT = 1024
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "few-labels.png"
FIGURE = "argmax_pck10"
SHOWN = {"frozen": ("autoencoder frozen", FAINT), "tuned": ("tuned further", LEFT), "scratch": ("from scratch", RIGHT)}


def main(autoencoder: Path, out: Path) -> None:
    image_training.VALIDATION_IMAGES = HELD_OUT
    image_training.VALIDATE_EVERY = STEPS
    out.mkdir(exist_ok=True)
    results = out / "few_labels.jsonl"
    part, parts = (int(word) for word in os.environ.get("PART", "0/1").split("/"))
    runs = [(n, t, r, s) for s in SEEDS for n in LABELS for t in TRANSFERS for r in RATES]
    there = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    for labels, transfer, rate, seed in runs[part::parts]:
        facts = {"labels": labels, "transfer": transfer, "learning_rate": rate, "seed": seed, "steps": STEPS}
        if any(facts.items() <= line.items() for line in there):
            continue
        line = facts | _trained(autoencoder, labels, transfer, rate, seed)
        with open(results, "a") as file:
            file.write(json.dumps(line) + "\n")
        there.append(line)
        print(line, flush=True)
    _draw(there)


def _draw(lines: list[dict[str, Any]]) -> None:
    """Over the labelled images, the mean over seeds, of the learning rate that does best there."""
    figure = new_figure(6.4, 3.6)
    axis = figure.subplots()
    for transfer, (words, colour) in SHOWN.items():
        mine = [line for line in lines if line["transfer"] == transfer]
        points = []
        for labels in sorted({line["labels"] for line in mine}):
            here = [line for line in mine if line["labels"] == labels]
            rates = {line["learning_rate"] for line in here}
            points.append(
                (labels, max(mean(line[FIGURE] for line in here if line["learning_rate"] == rate) for rate in rates))
            )
        if not points:
            continue
        axis.plot(*zip(*points, strict=True), color=colour, lw=1.8, marker="o", ms=4.5, mec=PAPER)
        axis.annotate(
            words, points[-1], xytext=(8, 0), textcoords="offset points", color=colour, fontsize=10, va="center"
        )
    axis.set_xscale("log")
    axis.set_xticks(sorted({line["labels"] for line in lines}), labels=sorted({line["labels"] for line in lines}))
    axis.minorticks_off()
    axis.set_ylim(0)
    axis.set_facecolor("none")
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(SHADE)
    axis.grid(color=SHADE, lw=0.7)
    axis.tick_params(color=SHADE, labelcolor=FAINT, labelsize=9)
    axis.set_xlabel("labelled images", color=FAINT, fontsize=9)
    axis.set_title("PCK at 0.1 of the body, on images never trained on", color=INK, fontsize=11, loc="left", pad=12)
    figure.tight_layout()
    with written(PICTURE) as partial:
        figure.savefig(partial, dpi=150, facecolor=PAPER)


def _trained(autoencoder: Path, labels: int, transfer: str, rate: float, seed: int) -> dict[str, float]:
    """The validation figures of one landmarks stage."""
    _, _, before, _ = load_images(autoencoder / "skip1")
    config = before.with_values(
        stage="landmarks",
        labels=labels,
        transfer=transfer,
        seed=seed,
        steps=STEPS,
        batch=32,
        target=0.0,
        learning_rate=rate,
        schedule="one-cycle",
        sigma=10 * before.size / 256,
        flip=True,
        rotation=30.0,
        scaling=0.2,
        colour=0.2,
    )
    with tempfile.TemporaryDirectory() as folder:
        os.symlink((autoencoder / "skip1").resolve(), Path(folder) / "skip1")
        return image_training.train_stage(config, folder).validation


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
