"""Two geckos for docs/your-animal.md, computed and not filmed: walk.npz and trot.npz, their 3D joints in millimetres.

python examples/gecko.py FOLDER

The trot is of another animal than the walk, with longer legs; trot.csv is what a camera sees of it, as DeepLabCut
writes it.  Feet stand still on the ground while the body passes over them, and the limbs follow from where hip and
foot are, so that no range of any skeleton enters.  The trunk bends in a standing wave (Ritter 1992, J. Exp. Biol.
173:1) and turns the pelvis by 36 degrees a stride; feet are down for 63 % of a slow stride and less of a quick one
(Fieler & Jayne 1998, J. Exp. Biol. 201:609, a desert iguana).  Lengths, heights and the head are estimates.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LIMBS = ("shoulder", "elbow", "hand", "hip", "knee", "foot")
SPINE = ("snout", "neck", "trunk", "pelvis", "tail_middle", "tail_tip")
NAMES = (*SPINE, *(f"{side}_{joint}" for side in ("left", "right") for joint in LIMBS))
FRAMES, FPS = 120, 60
BEND = np.radians(18)  # of each half of the trunk, to either side


@dataclass(frozen=True)
class Gait:
    """Lengths in mm, times in frames."""

    legs: float  # length, of the walking gecko's
    stride: float  # the way that the body goes in one
    period: float
    duty: float  # share of the stride that a foot is down
    height: float  # of hips and shoulders
    look: float  # degrees that the head turns aside
    tail: float  # degrees that it is raised


WALK = Gait(legs=1.0, stride=48, period=40, duty=0.63, height=11, look=10, tail=-8)
TROT = Gait(legs=1.15, stride=66, period=24, duty=0.5, height=15, look=30, tail=12)


def level(yaw: Array, raised: float = 0.0) -> Array:
    """Unit vectors (T, 3): forward (-y) turned to the animal's left (+x) by yaw, and raised; radians."""
    up = np.full_like(yaw, np.sin(raised))
    return np.stack([np.sin(yaw) * np.cos(raised), -np.cos(yaw) * np.cos(raised), up], axis=-1)


def middle_joint(hip: Array, foot: Array, upper: float, lower: float, outward: Array) -> Array:
    """Knee or elbow (T, 3) between hip and foot, to the side of `outward`."""
    way = foot - hip
    distance = np.linalg.norm(way, axis=-1, keepdims=True)
    if (distance > upper + lower).any():
        raise ValueError("a foot is out of reach")
    along = way / distance
    side = outward - (outward * along).sum(axis=-1, keepdims=True) * along
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    ahead = (distance**2 + upper**2 - lower**2) / (2 * distance)
    return hip + ahead * along + np.sqrt(upper**2 - ahead**2) * side


def foot_on_path(phase: Array, gait: Gait) -> tuple[Array, Array]:
    """How far a foot is ahead of its middle place, and how high; phase in strides, 0 where it comes down."""
    part = phase % 1.0
    step = gait.duty * gait.stride
    swing = (part - gait.duty) / (1 - gait.duty)
    ahead = np.where(part < gait.duty, step * (0.5 - part / gait.duty), -0.5 * step * np.cos(np.pi * swing))
    return ahead, 1.5 + np.where(part < gait.duty, 0.0, 6.0 * np.sin(np.pi * np.clip(swing, 0, 1)))


def move(gait: Gait) -> dict[str, Array]:
    """Joints (T, 3) in mm by name; the animal goes along -y, up is +z, its left +x."""
    stride = np.arange(FRAMES) / gait.period
    bend = BEND * np.cos(2 * np.pi * stride)  # of the pelvis to the right: the left hip is ahead as its foot comes down
    front, rear = level(bend), level(-bend)
    look = np.radians(gait.look) * np.sin(0.7 * stride)
    nod = np.radians(8)
    raised = np.radians(gait.tail)
    joints = {"trunk": np.stack([-7 * np.cos(2 * np.pi * stride), -gait.stride * stride, 0 * stride], axis=-1)}
    joints["trunk"][:, 2] = gait.height + 2
    drop = np.array([0, 0, -2])
    joints["neck"] = joints["trunk"] + 36 * front + drop
    joints["pelvis"] = joints["trunk"] - 40 * rear + drop
    joints["snout"] = joints["neck"] + 27 * level(0.3 * bend + look, nod)
    wave = np.radians(20) * np.cos(2 * np.pi * (stride - 0.15))
    joints["tail_middle"] = joints["pelvis"] - 42 * level(wave, -raised)
    joints["tail_tip"] = joints["tail_middle"] - 42 * level(1.5 * np.roll(wave, 5), -0.3 * raised)
    for side, sign in (("left", 1), ("right", -1)):
        late = 0.0 if side == "left" else 0.5
        limbs = (
            ("neck", bend, late + 0.5, ("shoulder", "elbow", "hand"), (9.0, 15.0, 17.0), 36 - 2, (0, 0.7, 0.5)),
            ("pelvis", -bend, late, ("hip", "knee", "foot"), (7.0, 18.0, 20.0), -40 + 4, (0, -0.9, 0.6)),
        )
        for girdle, yaw, lag, (first, second, third), (aside, upper, lower), place, pole in limbs:
            left = np.stack([np.cos(yaw), np.sin(yaw), 0 * yaw], axis=-1)
            upper, lower = gait.legs * upper, gait.legs * lower
            joint = joints[girdle] + sign * aside * left + np.array([0, 0, -1.5])
            ahead, height = foot_on_path(stride - lag, gait)
            x = np.full(FRAMES, sign * (aside + 0.6 * (upper + lower)))
            foot = np.stack([x, joints["trunk"][:, 1] - place - ahead, height], axis=-1)
            joints[f"{side}_{first}"], joints[f"{side}_{third}"] = joint, foot
            outward = np.array([sign * 0.6, pole[1], pole[2]])
            joints[f"{side}_{second}"] = middle_joint(joint, foot, upper, lower, np.broadcast_to(outward, foot.shape))
    return joints


def seen(joints: Array) -> Array:
    """Pixels (T, N, 2), y down, of a camera that goes along and round the animal, and looks down on it."""
    yaw, pitch = np.radians(np.linspace(30, 150, FRAMES)), np.radians(35)
    about = joints - joints[:, [NAMES.index("trunk")]]
    x = np.cos(yaw)[:, None] * about[..., 0] - np.sin(yaw)[:, None] * about[..., 1]
    y = np.sin(yaw)[:, None] * about[..., 0] + np.cos(yaw)[:, None] * about[..., 1]
    z = np.sin(pitch) * y + np.cos(pitch) * about[..., 2]
    return np.stack([320 + 2.5 * x, 180 - 2.5 * z], axis=-1)


def main(folder: Path) -> None:
    """Write the three files."""
    for name, gait in (("walk", WALK), ("trot", TROT)):
        made = move(gait)
        joints = np.stack([made[name] for name in NAMES], axis=1)
        np.savez(folder / f"{name}.npz", positions=joints, names=np.array(NAMES), fps=float(FPS))
    pixels = seen(joints) + np.random.default_rng(0).normal(0, 1.0, (FRAMES, len(NAMES), 2))
    with open(folder / "trot.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["scorer", *["gecko"] * (3 * len(NAMES))])
        table.writerow(["bodyparts", *[name for name in NAMES for _ in range(3)]])
        table.writerow(["coords", *["x", "y", "likelihood"] * len(NAMES)])
        for frame, row in enumerate(pixels):
            hidden = [n for n in range(len(NAMES)) if (frame // 10 + n) % 13 == 0]  # one joint or two at a time
            values = [(round(u, 2), round(v, 2), 0.1 if n in hidden else 0.95) for n, (u, v) in enumerate(row)]
            table.writerow([frame, *[value for point in values for value in point]])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
