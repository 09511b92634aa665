"""A trotting animal for the demo: trot.npz, its 3D joints; trot.csv, what a camera sees, as DeepLabCut writes it.

python examples/trot.py FOLDER
"""

import csv
import sys
from pathlib import Path

import numpy as np

import posesynth

FRAMES, FPS = 90, 30
PIXELS = 170  # of the longest edge
STRIDE = 2 * np.pi / 20  # a stride takes 20 frames


def bone(flexion: np.ndarray, abduction: float, length: float) -> np.ndarray:
    """Bones (T, 3) of angles in degrees in the upright animal's axes, as in docs/conventions.md."""
    f, a = np.radians(flexion), np.radians(abduction)
    return length * np.stack([np.full_like(f, np.sin(a)), -np.sin(f) * np.cos(a), np.cos(f) * np.cos(a)], axis=1)


def trot() -> np.ndarray:
    """Joints (T, 16, 3) of skeletons/dog.yaml: diagonal legs swing together."""
    t = STRIDE * np.arange(FRAMES)
    skeleton = posesynth.load_skeleton("dog")
    bones = {
        "head": bone(50 + 6 * np.sin(2 * t), 0, 0.55),
        "pelvis": bone(270 + 2 * np.sin(2 * t), 0, 1.0),
        "tail": bone(225 + 10 * np.sin(t), 0, 0.45),
    }
    for side, sign in (("left", 1), ("right", -1)):
        front = t if side == "left" else t + np.pi
        hind = front + np.pi
        bones[f"{side}_shoulder"] = bone(150 + 5 * np.sin(front), sign * 35, 0.35)
        bones[f"{side}_elbow"] = bone(205 + 18 * np.sin(front), sign * 4, 0.42)
        bones[f"{side}_front_paw"] = bone(178 + 24 * np.sin(front - 0.9), 0, 0.5)
        bones[f"{side}_hip"] = bone(225 + 3 * np.sin(hind), sign * 55, 0.22)
        bones[f"{side}_knee"] = bone(155 + 18 * np.sin(hind), sign * 4, 0.48)
        bones[f"{side}_hind_paw"] = bone(200 + 20 * np.sin(hind - 0.9), 0, 0.55)
    joints = np.zeros((FRAMES, len(skeleton.joints), 3))
    for n, name in enumerate(skeleton.joints[1:], start=1):
        joints[:, n] = joints[:, skeleton.parents[n]] + bones[name]
    return joints


def seen(joints: np.ndarray) -> np.ndarray:
    """Pixels (T, 16, 2), y down, of a camera that goes round the animal and looks a little down on it."""
    yaw, pitch = np.radians(np.linspace(20, 160, FRAMES)), np.radians(12)
    x = np.cos(yaw)[:, None] * joints[..., 0] - np.sin(yaw)[:, None] * joints[..., 1]
    y = np.sin(yaw)[:, None] * joints[..., 0] + np.cos(yaw)[:, None] * joints[..., 1]
    z = np.sin(pitch) * y + np.cos(pitch) * joints[..., 2]
    return np.stack([320 + PIXELS * x, 180 - PIXELS * z], axis=-1)


def main(folder: Path) -> None:
    """Write both files."""
    names = posesynth.load_skeleton("dog").joints
    joints = trot()
    pixels = seen(joints) + np.random.default_rng(0).normal(0, 1.0, (FRAMES, len(names), 2))
    np.savez(folder / "trot.npz", positions=joints, names=np.array(names))
    with open(folder / "trot.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["scorer", *["trot"] * (3 * len(names))])
        table.writerow(["bodyparts", *[name for name in names for _ in range(3)]])
        table.writerow(["coords", *["x", "y", "likelihood"] * len(names)])
        for frame, row in enumerate(pixels):
            hidden = [n for n in range(len(names)) if (frame // 10 + n) % 13 == 0]  # one joint or two at a time
            values = [(round(u, 2), round(v, 2), 0.1 if n in hidden else 0.95) for n, (u, v) in enumerate(row)]
            table.writerow([frame, *[value for point in values for value in point]])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
