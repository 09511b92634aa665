"""Pages of stored samples: twelve bodies on a floor, and beside them their 2D as a network gets it."""

import html
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from posesynth.draw import FAINT, INK, LEFT, MIDDLE, RIGHT, bone_colours
from posesynth.errors import InputError
from posesynth.kinematics import forward
from posesynth.preview.bodies import Bodies, light_up, rgb
from posesynth.preview.controls import TwoWay, block
from posesynth.preview.flat import pose_grid
from posesynth.preview.server import PORT, serve, until_interrupted
from posesynth.sampler import Batch
from posesynth.skeleton import Skeleton
from posesynth.store import Dataset
from posesynth.store import open as open_set

if TYPE_CHECKING:
    import viser

POSES, COLUMNS = 12, 4
DEEP = 1.35  # a place is so much deeper than wide: the row behind shows above the one in front
MEASURED = 256  # samples that tell how much room one takes
WIDTH = 400  # pixels of the panel
PALE, UNSEEN = "#dcdce2", "#ffffff"
"""A bone and a joint that are not seen in the 2D."""

Array = NDArray[np.floating[Any]]


def preview_samples(path: str | os.PathLike[str], host: str = "127.0.0.1", port: int = PORT) -> None:
    """Serve the page of a stored set until Ctrl-C.  InputError as `open` and `serve` have it."""
    data = open_set(path)
    with serve(os.path.basename(os.fspath(path).rstrip("/")), host, port) as (server, url):
        SamplesPage(server, data, os.fspath(path))
        until_interrupted(url)


class SamplesPage:
    """Samples `first` and the eleven after it; all of a set that has fewer.

    ``first``: index of the first sample that is shown.
    """

    def __init__(self, server: "viser.ViserServer", data: Dataset, name: str) -> None:
        """name: of the set, for people.  Raises InputError where its first samples are damaged."""
        self.data, self.first = data, -1
        self._server, self._name = server, name
        self._lock = threading.RLock()  # viser calls from several threads
        self._count = min(POSES, data.n)
        self._colours = bone_colours(data.skeleton)
        self._draws = np.random.default_rng()  # of random pages: another one each time
        self._room = _room(joints_of(data.skeleton, data[:MEASURED]))
        self._scene()
        self._panel()
        self.show_page(0)

    def show_page(self, first: int) -> None:
        """Show the samples from this index on, or the last ones where there are fewer than twelve from there."""
        with self._lock:
            first = min(max(first, 0), self.data.n - self._count)
            if first == self.first:
                self._place.show(first)
                return
            self.first = first
            try:
                batch: Batch | None = self.data[first : first + self._count]
                fault = ""
            except InputError as error:
                batch, fault = None, str(error)
            except OSError as error:
                batch, fault = None, f"{self._name}: cannot be read ({error.strerror or error})"
            with self._server.atomic():
                self._place.show(first)
                self._say(fault)
                self._show(batch)

    def turn(self, way: str) -> None:
        """One of the buttons: first, previous, next, last, random."""
        with self._lock:
            last = self.data.n - self._count
            places = {"first": 0, "previous": self.first - POSES, "next": self.first + POSES, "last": last}
            self.show_page(places[way] if way in places else int(self._draws.integers(0, last + 1)))

    def _scene(self) -> None:
        server, room, skeleton = self._server, self._room, self.data.skeleton
        rows = -(-self._count // COLUMNS)
        column, row = np.arange(self._count) % COLUMNS, np.arange(self._count) // COLUMNS
        ground = [column - (COLUMNS - 1) / 2, DEEP * ((rows - 1) / 2 - row), np.zeros(self._count)]
        self._ground = room * np.stack(ground, axis=-1)
        server.scene.add_grid(
            "/floor",
            width=COLUMNS * room,
            height=rows * room,
            cell_size=room,
            section_size=room,
            scale=(1.0, DEEP, 1.0),
            cell_color=(226, 226, 232),
            section_color=(208, 208, 214),
        )
        light_up(server)
        self._bodies = Bodies(server, "/bodies", skeleton, self._count)
        self._tags = [
            server.scene.add_label(f"/tags/{i}", "", anchor="bottom-center", font_screen_scale=0.8)
            for i in range(self._count)
        ]
        for tag, place in zip(self._tags, self._ground, strict=True):
            tag.position = place - [0, 0.55 * room, 0]
        # The animals stand as the camera of the set sees them: it looks along y.
        camera = server.initial_camera
        camera.position = (0.0, -room * (2.0 + DEEP * rows / 2), 4.0 * room)
        camera.look_at = (0.0, -0.25 * room, 0.2 * room)
        camera.fov = 0.72

    def _panel(self) -> None:
        gui = self._server.gui
        gui.main_panel.dock_right()
        gui.main_panel.set_width(WIDTH)
        gui.add_html(block(_about(self.data, self._name)))
        self.status = gui.add_html("")
        self.flat = gui.add_html("")
        self.index: Any = gui.add_number("from sample", 0, min=0, max=self.data.n - 1, step=1)
        self._place = TwoWay(self.index, self._lock, lambda index: self.show_page(int(index)))
        self.pages = gui.add_button_group("page", ("first", "previous", "next", "last", "random"))
        self.pages.on_click(lambda event: self.turn(event.target.value))
        gui.add_html(block(_legend(self.data.skeleton)))

    def _say(self, fault: str) -> None:
        last = self.first + self._count - 1
        text = f"<b>samples {self.first:,} to {last:,}</b> of {self.data.n:,}"
        if fault:
            text += f'<div style="color:#a03d00;overflow-wrap:anywhere">{html.escape(fault)}</div>'
        self.status.content = block(text)

    def _show(self, batch: Batch | None) -> None:
        skeleton = self.data.skeleton
        shape = (self._count, len(skeleton.joints))
        p2d = np.full((*shape, 2), np.nan) if batch is None else batch.p2d.astype(np.float64)
        joints = np.full((*shape, 3), np.nan) if batch is None else joints_of(skeleton, batch)
        seen = np.isfinite(p2d).all(axis=-1)
        numbers = range(self.first, self.first + self._count)
        labels = [f"{i:,}{_missing(n)}" for i, n in zip(numbers, (~seen).sum(axis=1).tolist(), strict=True)]
        self.flat.content = "" if batch is None else pose_grid(skeleton, p2d, self._colours, COLUMNS, labels)
        for tag, number in zip(self._tags, numbers, strict=True):
            tag.text = f"{number:,}"
        ends = (seen[:, 1:] & seen[:, skeleton.parents[1:]])[..., None]
        bones = np.where(ends, rgb(self._colours), rgb([PALE])).astype(np.uint8)
        balls = np.where(seen[..., None], rgb([INK]), rgb([UNSEEN])).astype(np.uint8)
        self._bodies.show(_standing(joints) + self._ground[:, None], bones, self._room / 46, balls)


def joints_of(skeleton: Skeleton, batch: Batch) -> Array:
    """(B, N, 3) joints as the camera sees them: p3d where it is stored, else made of o."""
    if batch.p3d is not None:
        return batch.p3d.astype(np.float32)
    return forward(batch.o.astype(np.float32), skeleton)


def _standing(joints: Array) -> Array:
    """Poses (B, N, 3) with their middle above the origin and the lowest joint at height 0."""
    low, high = joints.min(axis=1, keepdims=True), joints.max(axis=1, keepdims=True)
    return np.asarray(joints - np.concatenate([(low + high)[..., :2] / 2, low[..., 2:]], axis=-1))


def _room(joints: Array) -> float:
    """Side of the square that a pose stands in; one in twenty may reach out of its own."""
    size = joints.max(axis=1) - joints.min(axis=1)
    return 1.1 * float(np.percentile(size[:, :2].max(axis=1), 95)) or 1.0


def _about(data: Dataset, name: str) -> str:
    plan = data.plan
    facts = [f"{data.n:,} samples of <b>{html.escape(data.skeleton.name)}</b>", f"seed {data.seed}", plan.dtype]
    lines = [", ".join(facts), f"arrays: {', '.join(data.arrays)}"]
    if plan.ancestry is not None:
        sources, bred = plan.ancestry.sources, len(plan.ancestry.initial)
        clips = f" of {len(sources)} {'clip' if len(sources) == 1 else 'clips'}" if sources else ""
        lines.append(f"bred from {bred:,} poses{clips} in {plan.ancestry.generations} generations")
    rest = "".join(f'<div style="color:{FAINT}">{line}</div>' for line in lines)
    return f'<b style="overflow-wrap:anywhere">{html.escape(name)}</b>{rest}'


def _legend(skeleton: Skeleton) -> str:
    sides: Sequence[tuple[str, str]] = ((LEFT, "left"), (RIGHT, "right"), (MIDDLE, "middle"))
    parts = [f'<span style="color:{colour}">●</span> {word}' for colour, word in sides if skeleton.symmetric]
    parts.append(f'<span style="color:{PALE};text-shadow:0 0 1px {INK}">●</span> not seen in the 2D')
    return f'<span style="color:{FAINT}">{"&ensp;".join(parts)}</span>'


def _missing(count: int) -> str:
    return f" · {count} missing" if count else ""
