"""A lifted track in the browser: the 2D beside bodies that turn under the mouse, a timeline, the confidence."""

import html
import math
import os
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from posesynth.draw import FAINT, INK, LEFT, MIDDLE, RIGHT
from posesynth.errors import InputError, shown
from posesynth.preview.bodies import Bodies, light_up, rgb
from posesynth.preview.controls import TwoWay, block
from posesynth.preview.server import PORT, serve, until_interrupted

from ..data.pose_track import MIN_CONFIDENCE, PoseTrack
from ..data.poses import read_poses
from .skeletons import body_of
from .standing import FROM_ABOVE, Standing
from .tracks import choose, doubtful_joints, frame_name, stand
from .web_plots import ImagePlane, confidence_legend, confidence_plot, cursor
from .window import following

if TYPE_CHECKING:
    import viser

AT_ONCE = 12  # individuals on the floor
COLUMNS = 4
STEEP = 42.0  # degrees from above, where one row stands behind another
WIDTH = 440  # pixels of the panel
TICK = 1 / 60  # seconds
SPEEDS = ("0.1", "0.25", "0.5", "1", "2", "4")
SURE, DOUBTFUL = 0.85, 0.5  # a bone has its full colour from the one on, and fades down to the other
PALE = "#e9e9ee"
UNSEEN = "#F0E442"  # a joint that was not in the 2D: yellow of Okabe and Ito, beside ink

Array = NDArray[np.floating[Any]]


def show_web(
    poses: str | os.PathLike[str],
    host: str = "127.0.0.1",
    port: int = PORT,
    fps: float = 30,
    individual: str | None = None,
) -> None:
    """Serve the page of a file of poses until Ctrl-C.

    fps: frames a second at speed 1.  individual: which to begin with; left out, all.  InputError as `read_poses` and
    `serve` have it, and where there is no pose to show.
    """
    if not (isinstance(fps, int | float) and 1 <= fps <= 240):
        raise InputError(f"fps: is {shown(fps)}; expected a number from 1 to 240")
    track = read_poses(poses)
    name = os.fspath(poses)
    choose(track, name, individual, 1)  # refuse before the server starts
    with serve(os.path.basename(name), host, port) as (server, url):
        page = TrackPage(server, track, name, fps, individual)
        until_interrupted(url, page.run)


class Tree(NamedTuple):
    """The bones of a track whose joints stand in the order of the page: the root first, parents before children."""

    parents: NDArray[np.int32]

    @property
    def edges(self) -> int:
        """How many bones there are."""
        return len(self.parents) - 1


class Stage(NamedTuple):
    """Who is on the floor."""

    individuals: list[int]
    stood: list[Standing]
    ground: Array  # (B, 3) where each stands
    confidence: Array | None  # (T, N) the lowest of them
    plane: ImagePlane


class TrackPage:
    """A track as it plays.

    ``step``: the frame that is shown, by its place in the track.  ``playing``: whether it goes on by itself.
    """

    def __init__(
        self, server: "viser.ViserServer", track: PoseTrack, name: str, fps: float = 30, individual: str | None = None
    ) -> None:
        """name: of the file.  Raises InputError where there is no pose to show, or no such individual."""
        self.step, self.playing = 0, False
        self._server, self._name, self._fps = server, name, fps
        self._lock = threading.RLock()  # viser calls from several threads
        self._order, tree = _parents_first(track.parents)
        self._track, self._tree = track, tree
        self._most = choose(track, name, None, AT_ONCE)
        everybody = choose(track, name, None, len(track.individuals))
        self._names = {track.individuals[a]: a for a in everybody}
        self._all = "all" if len(everybody) <= AT_ONCE else f"the {AT_ONCE} with most poses"
        body = body_of(track)
        self._sided = body.sided
        self._joints = [track.joints[j] for j in self._order]
        self._colours = [body.colours[j] for j in self._order[1:]]
        begin = choose(track, name, individual, AT_ONCE) if individual is not None else self._most
        self._stage = self._staged(begin)
        self._scene()
        self._panel(individual)
        self._set_stage()
        self.show_frame(0)

    # What the user does.

    def show_frame(self, step: int) -> None:
        """Show a frame by its place in the track; one beyond an end is that end."""
        with self._lock, self._server.atomic():
            self.step = min(max(step, 0), len(self._track.frames) - 1)
            self._moment.show(self.step)
            self.flat.content = self._stage.plane.svg(self.step)
            self._say()
            if self._stage.confidence is not None:
                self.cursor.content = cursor(self.step, len(self._track.frames), len(self._joints))
            self._pose()

    def show_individual(self, name: str | None) -> None:
        """Of several individuals show one, or all for None."""
        with self._lock, self._server.atomic():
            self.individual.value = self._all if name is None else name
            self._stage = self._staged(self._most if name is None else [self._names[name]])
            self._set_stage()
            self.show_frame(self.step)

    def play(self, on: bool) -> None:
        """Go on by itself, or stay."""
        with self._lock:
            self.playing = on
            self.buttons.options = ("previous", "pause" if on else "play", "next")

    def run(self, stop: threading.Event) -> None:
        """Play, while it shall, until `stop` is set; what is late is left out."""
        before, due = time.monotonic(), 0.0
        while not stop.wait(TICK):
            now = time.monotonic()
            with self._lock:
                if self.playing:
                    due += (now - before) * self._fps * float(self.speed.value)
                    if due >= 1:
                        self.show_frame((self.step + int(due)) % len(self._track.frames))
                        due %= 1
            before = now

    # What is where.

    def _staged(self, individuals: list[int]) -> Stage:
        track, order = self._track, self._order
        stood = [_ordered(stand(track, slice(None), a), order) for a in individuals]
        room = 2.1 * max(each.radius for each in stood)
        columns = min(len(stood), COLUMNS)
        rows = -(-len(stood) // columns)
        row, column = np.divmod(np.arange(len(stood)), columns)
        ground = room * np.stack([column - (columns - 1) / 2, (rows - 1) / 2 - row, 0 * row], axis=-1)
        confidence = None
        if track.confidence is not None:
            confidence = np.fmin.reduce(track.confidence[:, individuals], axis=1)[:, order]
        images = track.p2d[:, individuals].astype(np.float64)
        names = [track.individuals[a] for a in individuals] if len(individuals) > 1 else [""]
        doubtful = doubtful_joints(track)[:, individuals][:, :, order]
        window = following(images, max(1, round(self._fps / 2)))
        plane = ImagePlane(self._tree, images[:, :, order], doubtful, self._colours, names, window)
        return Stage(individuals, stood, ground, confidence, plane)

    def _scene(self) -> None:
        scene, most = self._server.scene, max(len(self._most), len(self._stage.individuals))
        light_up(self._server)
        self._bodies = Bodies(self._server, "/bodies", self._tree, most)
        self._tags = [
            scene.add_label(f"/tags/{i}", "", anchor="top-center", font_screen_scale=0.8) for i in range(most)
        ]
        self._filmed = scene.add_label("/camera", "camera", anchor="center-center", font_screen_scale=0.8)
        self._along: Any = None
        if self._track.confidence is not None:
            nothing = np.zeros((1, 2, 3), np.float32)
            self._along = scene.add_line_segments("/errors", nothing, (0, 0, 0), thickness=0.01)

    def _set_stage(self) -> None:
        """Make room for who is on the floor, and look at it as the camera does, from a little above."""
        stage, scene = self._stage, self._server.scene
        radius = max(each.radius for each in stage.stood)
        top = max(each.extent[1] for each in stage.stood)
        half = np.abs(stage.ground[:, :2]).max(axis=0) + radius
        scene.add_grid(
            "/floor",
            width=2 * half[0],
            height=2 * half[1],
            cell_size=radius / 4,
            section_size=radius,
            cell_color=(236, 236, 240),
            section_color=(214, 214, 220),
        )
        self._radius = radius
        self._filmed.position = (0.0, -half[1] - (0.4 if len(stage.individuals) > 1 else 0.08) * radius, 0.0)
        for i, tag in enumerate(self._tags):
            tag.visible = len(stage.individuals) > 1 and i < len(stage.individuals)
            if tag.visible:
                tag.text = self._track.individuals[stage.individuals[i]]
                tag.position = stage.ground[i] - [0, radius, 0]
        far = half[1] + 2.5 * max(half[0], top / 1.5)
        look_at = np.array([0.0, 0.0, 0.36 * top])
        steep = math.radians(FROM_ABOVE if half[1] < 2 * radius else STEEP)
        position = look_at + far * np.array([0.0, -math.cos(steep), math.sin(steep)])
        cameras: list[Any] = [self._server.initial_camera]
        cameras += [client.camera for client in self._server.get_clients().values()]
        for camera in cameras:
            camera.position, camera.look_at = position, look_at
        self._server.initial_camera.fov = 0.72
        if stage.confidence is not None:
            self.confidence.content = confidence_plot(stage.confidence, self._joints)

    def _panel(self, individual: str | None) -> None:
        gui, track = self._server.gui, self._track
        gui.main_panel.dock_right()
        gui.main_panel.set_width(WIDTH)
        gui.add_html(block(f"<b>{_text(self._name)}</b> {_faint(f'lifted by {_text(track.model)}')}"))
        self.flat = gui.add_html("")
        self.status = gui.add_html("")
        self.timeline: Any = gui.add_slider("frame", 0, len(track.frames) - 1, 1, 0)
        self._moment = TwoWay(self.timeline, self._lock, self._on_timeline)
        self.buttons: Any = gui.add_button_group(" ", ("previous", "play", "next"))
        self.buttons.on_click(self._on_button)
        self.speed = gui.add_dropdown("speed", SPEEDS, initial_value="1")
        self.individual: Any = None
        if len(self._names) > 1:
            self.individual = gui.add_dropdown(
                "individual", (self._all, *self._names), initial_value=individual or self._all
            )
            self.individual.on_update(self._on_individual)
        if track.confidence is None:
            gui.add_html(block(_faint("The model gives no confidence.")))
        else:
            several = ", the lowest of who is shown" if self.individual is not None else ""
            gui.add_html(block(f"confidence of each joint{several}<br>{_faint(confidence_legend())}"))
            self.cursor = gui.add_html("")
            self.confidence = gui.add_html("")
        gui.add_html(block(_faint(self._legend())))

    def _on_timeline(self, step: float) -> None:
        self.play(False)
        self.show_frame(int(step))

    def _on_button(self, event: Any) -> None:
        with self._lock:
            ahead = {"previous": -1, "next": 1}.get(event.target.value, 0)
            self.play(ahead == 0 and not self.playing)
            if ahead:
                self.show_frame((self.step + ahead) % len(self._track.frames))

    def _on_individual(self, event: Any) -> None:
        if event.client_id is not None:
            with self._lock:
                name = self.individual.value
                self.show_individual(None if name == self._all else name)

    # What is seen.

    def _pose(self) -> None:
        stage, count, joints = self._stage, len(self._tags), len(self._joints)
        poses, seen = np.full((count, joints, 3), np.nan), np.ones((count, joints), np.bool_)
        sure = np.ones((count, joints))
        ends = np.zeros((count, joints, 2, 3), np.float32)
        for b, (stood, ground) in enumerate(zip(stage.stood, stage.ground, strict=True)):
            poses[b] = stood.poses[self.step] + ground
            seen[b] = stood.seen[self.step]
            if self._track.confidence is not None and stood.errors is not None:
                found = self._track.confidence[self.step, stage.individuals[b]][self._order]
                sure[b] = np.nan_to_num(found, nan=1.0)
                away = stood.errors[self.step][:, None] * [0, 1, 0]
                ends[b] = np.nan_to_num(np.stack([poses[b] - away, poses[b] + away], axis=1))
        strength = np.clip((sure[:, 1:, None] - DOUBTFUL) / (SURE - DOUBTFUL), 0, 1)
        full, pale = rgb(self._colours).astype(np.float64), rgb([PALE])
        colours = np.round(pale + (full - pale) * strength).astype(np.uint8)
        balls = np.where(seen[..., None], rgb([INK]), rgb([UNSEEN])).astype(np.uint8)
        thick = self._radius / (32 if self._tree.edges < 20 else 46)
        self._bodies.show(poses, colours, thick, balls)
        if self._along is not None:
            self._along.points = ends.reshape(-1, 2, 3)
            self._along.thickness = 0.25 * thick
            self._along.colors = np.repeat(rgb([FAINT])[None], 2 * ends[..., 0, 0].size, axis=0).reshape(-1, 2, 3)

    def _say(self) -> None:
        track, stage = self._track, self._stage
        place = f"{self.step + 1:,} of {len(track.frames):,}"
        words = [f"<b>{_text(frame_name(track, self.step))}</b>", place]
        if len(stage.individuals) == 1:
            stood = stage.stood[0]
            if np.isnan(stood.poses[self.step]).all():
                words.append("not lifted")
            else:
                hidden = [name for name, on in zip(self._joints, stood.seen[self.step], strict=True) if not on]
                some = ", ".join(hidden[:3]) + (" ..." if len(hidden) > 3 else "")
                words.append(f"not seen: {_text(some)}" if hidden else "all joints seen")
        self.status.content = block("&ensp;".join([words[0], *(_faint(word) for word in words[1:])]))

    def _legend(self) -> str:
        parts = []
        if self._sided:
            sides = ((LEFT, "left"), (RIGHT, "right"), (MIDDLE, "middle"))
            parts += [f'<span style="color:{colour}">●</span> {word}' for colour, word in sides]
        parts.append(f'<span style="color:{UNSEEN};text-shadow:0 0 1px {INK}">●</span> not seen in the 2D')
        words = "&ensp;".join(parts)
        if self._track.confidence is not None:
            words += "<br>pale bone: little confidence; line: error expected in depth"
        if self._track.p2d_confidence is not None:
            words += f"<br>pale in the 2D: found with a confidence under {MIN_CONFIDENCE:g}"
        return words


def _parents_first(parents: tuple[int, ...]) -> tuple[NDArray[np.intp], Tree]:
    """An order of the joints in which each comes after its parent, theirs where it is one, and the bones in it."""
    order = [parents.index(-1)]
    for joint in order:
        order += [child for child, parent in enumerate(parents) if parent == joint]
    if all(parent < joint for joint, parent in enumerate(parents)):
        order = list(range(len(parents)))
    place = {joint: i for i, joint in enumerate(order)} | {-1: -1}
    return np.array(order), Tree(np.array([place[parents[joint]] for joint in order], np.int32))


def _ordered(stood: Standing, order: NDArray[np.intp]) -> Standing:
    errors = None if stood.errors is None else stood.errors[:, order]
    return stood._replace(poses=stood.poses[:, order], errors=errors, seen=stood.seen[:, order])


def _text(words: str) -> str:
    return html.escape(words)


def _faint(words: str) -> str:
    return f'<span style="color:{FAINT}">{words}</span>'
