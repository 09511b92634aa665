"""Hand labels of a DeepLabCut project: ``labeled-data/<video>/CollectedData_<scorer>.csv`` or ``.h5``.

An image lies beside its label file, whatever project folder the index of the table names: projects move.
"""

import glob
import os

import numpy as np

from lifter.data.images.image_set import ImageSet, image_set, inside
from lifter.data.keypoints import load_keypoints
from lifter.data.track import Keypoints
from posesynth.errors import fault


def is_project(folder: str) -> bool:
    """Whether a folder is a DeepLabCut project, or holds the label file of one video."""
    return bool(_files(folder))


def read_project(folder: str) -> ImageSet:
    """All labelled images of a project, video by video; csv where both are there."""
    return _together(folder, _files(folder))


def read_label_file(path: str) -> ImageSet:
    """The labelled images of one ``CollectedData`` file."""
    return _together(path, [path])


def _files(folder: str) -> list[str]:
    """One label file for each video of a project; for a folder of label files, that."""
    folders = sorted(glob.glob(os.path.join(glob.escape(folder), "labeled-data", "*", ""))) or [folder]
    files = []
    for each in folders:
        found = [sorted(glob.glob(os.path.join(glob.escape(each), f"CollectedData_*.{e}"))) for e in ("csv", "h5")]
        of_one_kind = found[0] or found[1]
        if len(of_one_kind) > 1:
            names = ", ".join(os.path.basename(name) for name in of_one_kind[:3])
            raise fault(each, None, f"labels of several people: {names}; expected the file of one")
        files += of_one_kind
    return files


def _together(source: str, files: list[str]) -> ImageSet:
    names: tuple[str, ...] = ()
    images: list[str] = []
    points = []
    for path in files:
        table = load_keypoints(path)
        if names and set(table.names) != set(names):
            raise fault(path, None, f"{len(table.names)} body parts; expected the {len(names)} of {files[0][-80:]}")
        names = names or table.names
        order = [table.names.index(name) for name in names]
        paths = _images(path, table)
        images += [image for image in paths for _ in table.individuals]
        points.append(table.positions[:, :, order].reshape(-1, len(names), 2))
    keypoints = np.concatenate(points)
    visible = np.asarray(np.isfinite(keypoints).all(axis=-1))
    return image_set(source, "DeepLabCut", names, images, [None] * len(images), keypoints, visible)


def _images(path: str, table: Keypoints) -> list[str]:
    frames = table.frames
    if not all(isinstance(frame, str) for frame in frames):
        raise fault(path, None, "rows are numbered; expected labelled images, the first column their names")
    names = [inside(path, f"row {t + 1}", frame) for t, frame in enumerate(frames)]
    return [os.path.join(os.path.dirname(path), os.path.basename(name)) for name in names]
