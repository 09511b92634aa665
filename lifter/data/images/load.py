"""Find the reader of an image set by what is in the file or folder."""

import os
from typing import Any

import numpy as np

from lifter.data.coco import parse_json
from lifter.data.images.coco import is_posetrack, read_coco_set, read_coco_sets
from lifter.data.images.deeplabcut_project import is_project, read_label_file, read_project
from lifter.data.images.image_set import Annotation, ImageSet
from lifter.data.images.lsp import read_lsp
from lifter.data.images.mpii import read_mpii_json, read_mpii_mat
from lifter.data.images.tigdog import is_tigdog, read_tigdog
from posesynth.errors import fault, quote, reason
from posesynth.matlab import variables

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm")
MAX_JSON = 2**29  # COCO's training labels are 240 MB
MAX_IMAGES = 2**22
_EXPECTED = "expected images, or labels of LSP, COCO, PoseTrack18, MPII, AP-10K, Animal-Pose, TigDog or DeepLabCut"


def load_image_set(path: str | os.PathLike[str]) -> ImageSet:
    """The annotated images of a file or folder; what it is, is found from its content (docs/datasets.md).

    A folder without labels gives all images in it and below, sorted by path, with names == ().  Nothing is asked of the
    images: that one is missing is told when it is loaded (`ImageSet.missing` counts them).  Raises InputError, one line
    that begins with the file's name.
    """
    path = os.fspath(path)
    if "\0" in path or not os.path.exists(path):
        raise fault(path, None, f"is not there; {_EXPECTED}")
    if not os.path.isdir(path):
        return _read_file(path)
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise fault(path, None, f"cannot be read: {reason(error)}") from None
    files = [name for name in names if os.path.isfile(os.path.join(path, name))]
    if "joints.mat" in files:
        return read_lsp(os.path.join(path, "joints.mat"))
    if is_tigdog(path):
        return read_tigdog(path)
    if is_project(path):
        return read_project(path)
    labels = [os.path.join(path, name) for name in files if name.lower().endswith((".json", ".mat"))]
    if len(labels) == 1:
        return _read_file(labels[0])
    if labels:
        return _read_files(path, labels)
    return _plain_folder(path)


def _read_file(path: str) -> ImageSet:
    ending = os.path.splitext(path)[1].lower()
    if ending == ".mat":
        found = variables(path)
        if "joints" in found:
            return read_lsp(path)
        if "RELEASE" in found:
            return read_mpii_mat(path)
        some = ", ".join(quote(name, 20) for name in found[:6]) or "nothing"
        raise fault(path, None, f"holds {some}; expected 'joints' (LSP) or 'RELEASE' (MPII)")
    if ending == ".json":
        return _read_json(path, parse_json(path, MAX_JSON))
    if ending in (".csv", ".h5", ".hdf5"):
        return read_label_file(path)
    if os.path.basename(path) == "config.yaml":
        return read_project(os.path.dirname(path) or ".")
    if ending in IMAGES:
        return _unlabelled(path, [path])
    raise fault(path, None, f"unknown kind of file; {_EXPECTED}")


def _read_json(path: str, document: Any) -> ImageSet:
    if isinstance(document, list) and document:
        return read_mpii_json(path, document)
    if not isinstance(document, dict):
        raise fault(path, None, f"neither COCO's object nor MPII's list; {_EXPECTED}")
    return read_coco_set(path, document)


def _read_files(path: str, labels: list[str]) -> ImageSet:
    """The videos of a PoseTrack18 folder; of other sets one file has to be named."""
    several = f"{len(labels)} label files, {', '.join(os.path.basename(name) for name in labels[:3])} ..."
    expected = "expected one file (only PoseTrack18 has one a video); name it"
    if any(name.lower().endswith(".mat") for name in labels):
        raise fault(path, None, f"{several}; {expected}")
    documents = []
    for name in labels:
        document = parse_json(name, MAX_JSON)
        if not is_posetrack(document):
            raise fault(path, None, f"{several}; {expected}")
        if any(entry.get("keypoints") for entry in document.get("annotations") or [] if isinstance(entry, dict)):
            documents.append((name, document))
    if not documents:
        raise fault(path, None, f"{several}, without labels; expected annotations with keypoints")
    return read_coco_sets(path, documents)


def _plain_folder(path: str) -> ImageSet:
    found = images_in(path)
    if not found:
        raise fault(path, None, f"neither labels nor images in it; {_EXPECTED}")
    return _unlabelled(path, found)


def check_beside(out: str | os.PathLike[str], folder: str) -> None:
    """InputError where `out` lies in a folder whose images are all taken: what is drawn there would be among them."""
    inner, outer = os.path.realpath(out), os.path.realpath(folder)
    if os.path.isdir(outer) and os.path.commonpath([inner, outer]) == outer:
        raise fault(os.fspath(out), None, f"lies in {quote(folder)}, whose images are taken; expected another folder")


def images_in(path: str) -> list[str]:
    """All image files in a folder and below, by their endings, sorted by path; not the masks beside images."""
    found = []
    for folder, folders, files in os.walk(path):
        if "images" in folders:
            folders[:] = [name for name in folders if name != "masks"]  # as posesynth.render and others lay them out
        folders.sort()
        seen = (name for name in files if not name.startswith("."))  # such as macOS leaves on foreign disks
        found += [os.path.join(folder, name) for name in seen if os.path.splitext(name)[1].lower() in IMAGES]
        if len(found) > MAX_IMAGES:
            raise fault(path, None, f"more than {MAX_IMAGES} images; expected fewer")
    return sorted(found)


def _unlabelled(path: str, images: list[str]) -> ImageSet:
    keypoints, visible = np.empty((0, 2)), np.empty(0, np.bool_)
    return ImageSet((), tuple(Annotation(image, None, keypoints, visible) for image in images), "images", path)
