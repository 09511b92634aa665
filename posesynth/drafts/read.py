"""Find the reader by the file's name and its first words."""

import os

from posesynth.drafts.clip import read_clip
from posesynth.drafts.coco import read_categories
from posesynth.drafts.deeplabcut import read_config
from posesynth.drafts.draft import Draft, without_lengthless
from posesynth.drafts.mjcf import read_mjcf
from posesynth.drafts.sleap import read_hdf5, read_skeleton
from posesynth.drafts.urdf import read_urdf
from posesynth.drafts.xml_source import read_xml
from posesynth.errors import InputError, fault, quote
from posesynth.motion.documents import read_document

_KNOWN = "DeepLabCut's config.yaml, SLEAP's .json, .h5 or .slp, COCO's .json, .bvh, .urdf, or MJCF's .xml"


def read_draft(path: str, category: str | None = None) -> Draft:
    """What a file tells of a skeleton.  InputError, one line, for what cannot be read."""
    ending = os.path.splitext(path)[1].lower()
    if category is not None and ending != ".json":
        raise InputError("category: is for COCO's categories; expected none with this file")
    if ending in (".yaml", ".yml"):
        return read_config(path)
    if ending == ".json":
        return _read_document(path, category)
    if ending in (".h5", ".hdf5", ".slp"):
        return read_hdf5(path)
    if ending == ".bvh":
        return without_lengthless(read_clip(path))
    if ending in (".xml", ".urdf", ".mjcf"):
        root = read_xml(path)
        if root.tag == "robot":
            return without_lengthless(read_urdf(path, root))
        if root.tag == "mujoco":
            return without_lengthless(read_mjcf(path, root))
        raise fault(path, root.line, f"XML of <{root.tag[:40]}>; expected a <robot> of URDF or a <mujoco> of MJCF")
    raise fault(path, None, f"unknown kind of file {quote(ending)}; expected {_KNOWN}")


def _read_document(path: str, category: str | None) -> Draft:
    document = read_document(path, "COCO or SLEAP")
    if isinstance(document, dict) and "categories" not in document and ("nx_graph" in document or "nodes" in document):
        if category is not None:
            raise InputError("category: is for COCO's categories; expected none with a skeleton of SLEAP")
        return read_skeleton(path, document)
    if isinstance(document, list) or (isinstance(document, dict) and "categories" in document):
        return read_categories(path, document, category)
    if isinstance(document, dict) and "keypoints" in document:
        return read_categories(path, [document], category)
    raise fault(path, None, "JSON of another kind; expected COCO's categories, or a skeleton as SLEAP exports it")
