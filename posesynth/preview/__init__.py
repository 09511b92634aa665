"""Pages in the browser: a skeleton's ranges under sliders, and the samples of a data set.  They need viser."""

import warnings
from collections.abc import Sequence


def preview_skeleton(
    name_or_path: str,
    clips: Sequence[str] = (),
    joint_map: str | None = None,
    asf: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
) -> None:
    """Serve the page of a skeleton until Ctrl-C, and print its address.

    clips: motion files to lay over it, read with `joint_map` as `posesynth coverage` reads them.  Raises InputError.
    """
    from posesynth.coverage import load_map
    from posesynth.motion import load_motion
    from posesynth.preview.document import Document
    from posesynth.preview.page import SkeletonPage
    from posesynth.preview.server import serve, until_interrupted

    document = Document(name_or_path)
    mapping = None if joint_map is None else load_map(joint_map, document.skeleton)
    names = None if mapping is None else mapping.columns
    motions = [load_motion(clip, names=names, asf=asf) for clip in clips]
    with serve(document.skeleton.name, host, port) as (server, url):
        page = SkeletonPage(server, document, motions, mapping)
        until_interrupted(url, page.run)
    if document.changed and document.path is not None:
        warnings.warn(f"{document.path}: the changes that were not saved are lost", stacklevel=2)


def preview_samples(path: str, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve the page of a stored set until Ctrl-C, and print its address.  Raises InputError."""
    from posesynth.preview.samples import preview_samples

    preview_samples(path, host, port)
