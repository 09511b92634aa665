"""The page of a skeleton: its ranges under sliders, and what comes of them."""

import functools
import html
import threading
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from posesynth.coverage import JointMap
from posesynth.coverage.fit import propose
from posesynth.draw import LEFT, MIDDLE, RIGHT, bone_colours
from posesynth.errors import InputError
from posesynth.kinematics import forward
from posesynth.motion import Motion
from posesynth.preview.bodies import Bodies, light_up, rgb
from posesynth.preview.clip import Clip
from posesynth.preview.controls import RangeControl, TwoWay, block, by_user
from posesynth.preview.document import Document
from posesynth.preview.flat import pose_grid
from posesynth.preview.posture import Posture, surface, surface_faces, upright
from posesynth.sampler import sample
from posesynth.schema_edits import with_ranges
from posesynth.skeleton import EdgeRange, Range, Skeleton

if TYPE_CHECKING:
    import viser

TICK, WATCH = 1 / 60, 0.5  # seconds: of playing, and of looking whether the file has changed
POSES, COLUMNS = 12, 4
# The colour-blind tell this red from this blue; what is outside is thicker, too.
INSIDE, OUTSIDE, CHOSEN, PROPOSED = "#0072B2", "#CC2222", "#009E73", "#CC79A7"
SURFACES = {"range": (CHOSEN, 0.3), "mirror": (CHOSEN, 0.15), "usual": (CHOSEN, 0.5), "proposed": (PROPOSED, 0.3)}
JOINT, REST = "#33363f", "#c9cbd3"
"""The ball of a joint; the upright animal behind a clip."""


class SkeletonPage:
    """A skeleton being written: sliders, the upright animal, a chosen bone's range, random poses, real motion."""

    def __init__(
        self,
        server: "viser.ViserServer",
        document: Document,
        motions: Sequence[Motion] = (),
        joint_map: JointMap | None = None,
    ) -> None:
        """Raises InputError for motion that cannot be laid over the skeleton."""
        self.server, self.document = server, document
        self.motions, self.joint_map = motions, joint_map
        self.clips = [Clip(document.skeleton, motion, joint_map) for motion in motions]
        self.lock = threading.RLock()  # viser calls from several threads
        self.chosen = document.skeleton.joints[1]
        self.first_pose = 0
        self.proposal: dict[str, Range] = {}
        self.rest = upright(document.skeleton)
        self._scene()
        self._panel()
        self._strip()
        self.choose(self.chosen)

    # What is where.

    def _scene(self) -> None:
        server, skeleton = self.server, self.document.skeleton
        scene = server.scene
        light_up(server)
        low, high = self.rest.joints.min(axis=0), self.rest.joints.max(axis=0)
        self.span = float(max(high - low).max()) if (high > low).any() else 1.0
        self.thick = 0.016 * self.span
        middle = (low + high) / 2
        # Seen from its left and a little from above, the animal stands in front, the random poses in rows behind it.
        # A low one, such as a lizard, is seen from nearer and stands lower in the window.
        flat = 1 - (high - low)[2] / self.span
        server.initial_camera.position = middle + self.span * (1 - 0.2 * flat) * np.array([2.5, -0.45, 1.25])
        server.initial_camera.look_at = middle + self.span * np.array([-0.5, 0.05, 0.22 * flat - 0.14])
        server.initial_camera.fov = 0.62
        server.initial_camera.up = (0.0, 0.0, 1.0)
        self.floor = scene.add_grid(
            "/floor",
            width=8 * self.span,
            height=8 * self.span,
            cell_size=self.span / 4,
            section_size=self.span,
            position=(0, 0, float(low[2])),
            cell_color=(232, 232, 236),
            section_color=(208, 208, 214),
        )
        ahead = (float(middle[0]), float(low[1]) - 0.25 * self.span, float(low[2]))
        scene.add_label("/front", "front", anchor="center-center", font_screen_scale=0.9, position=ahead)
        self.animal = Bodies(server, "/animal", skeleton, 1)
        self.real = Bodies(server, "/real", skeleton, 1)
        self.herd = Bodies(server, "/herd", skeleton, POSES)
        self.animal.on_click(lambda _, joint: self.choose(skeleton.joints[joint]))
        self.real.on_click(lambda _, joint: self.choose(skeleton.joints[joint]))
        self.names = [
            scene.add_label(f"/names/{joint}", joint, anchor="bottom-center", font_screen_scale=0.8)
            for joint in skeleton.joints
        ]
        nothing = np.zeros((1, 2, 3), np.float32)
        self.surfaces = {}
        for name, (colour, opacity) in SURFACES.items():
            mesh = scene.add_mesh_simple(
                f"/surfaces/{name}",
                np.zeros((int(surface_faces().max()) + 1, 3), np.float32),
                surface_faces(),
                color=tuple(rgb([colour])[0]),
                opacity=opacity,
                side="double",
                cast_shadow=False,
                receive_shadow=False,
            )
            rim = scene.add_line_segments(
                f"/surfaces/{name}/rim", nothing, rgb([colour])[0], thickness=0.006 * self.span
            )
            self.surfaces[name] = mesh, rim

    def _panel(self) -> None:
        gui = self.server.gui
        gui.main_panel.dock_right()
        gui.main_panel.set_width(370)
        self.status = gui.add_html("")
        self.steps = gui.add_button_group("file", ("Undo", "Redo", "Save"))
        steps = {"Undo": self.undo, "Redo": self.redo, "Save": self.save}
        self.steps.on_click(lambda event: steps[event.target.value]())
        self.conflict = gui.add_button_group("on disk", ("Load the file", "Keep mine"), visible=False)
        self.conflict.on_click(lambda event: self.settle(event.target.value == "Keep mine"))
        for name, key, modifier in (("Undo", "Z", "cmd/ctrl"), ("Redo", "Y", "cmd/ctrl"), ("Save", "S", "cmd/ctrl")):
            command = gui.add_command(name, hotkey=key, modifier=modifier)
            command.on_trigger(lambda _, name=name: steps[name]())
        self.joint = gui.add_dropdown("joint", self.document.skeleton.joints[1:], initial_value=self.chosen)
        self.joint.on_update(by_user(self.choose))
        self.about = gui.add_html("")
        self.named = gui.add_checkbox("names", True, hint="The names of all joints, or of the chosen one alone.")
        self.named.on_update(lambda _: self.show_names())
        self.ranges = gui.add_folder(None)
        self.controls: list[RangeControl] = []
        if self.clips:
            self._clip_controls()

    def _clip_controls(self) -> None:
        gui = self.server.gui
        with gui.add_folder("motion"):
            self.coverage = gui.add_html("")
            self.clip_name = gui.add_dropdown("clip", tuple(_unlike([clip.name for clip in self.clips])))
            self.clip_name.on_update(by_user(lambda _: self.show_clip()))
            self.play = gui.add_checkbox("play", False)
            self.frame = gui.add_slider("frame", 0, max(self.clip.frames - 1, 1), 1, 0)
            self.moment = TwoWay(self.frame, self.lock, self.show_frame)
            self.quantile = gui.add_slider("share to hold, %", 50.0, 100.0, 0.5, 98.0)
            self.propose = gui.add_button_group("range", ("Propose", "Take", "Drop"))
            ranges = {"Propose": self.propose_range, "Take": self.take_range, "Drop": self.drop_range}
            self.propose.on_click(lambda event: ranges[event.target.value]())
            self.proposed = gui.add_html("")

    def _strip(self) -> None:
        gui = self.server.gui
        panel = gui.add_panel()
        panel.dock_left()
        panel.set_width(230)
        with panel.add_tab("random poses"):
            self.flat = gui.add_html("")
            gui.add_html(block(_legend(self.document.skeleton)))
            gui.add_button("Other poses").on_click(lambda _: self.other_poses())

    # What the user does.

    def choose(self, joint: str) -> None:
        """Show another joint's ranges.  The root has none."""
        if joint == self.document.skeleton.joints[0]:
            return
        with self.lock:
            self.chosen = joint
            self.joint.value = joint
            self._make_controls()
            self.refresh()

    def set_range(self, path: str, range_: Range) -> None:
        """Give a range of the chosen joint other bounds."""
        with self.lock:
            self.document.set_range(self.chosen, path, range_)
            self.refresh()

    def undo(self) -> None:
        """Take the last step back."""
        with self.lock:
            self.document.undo()
            self.refresh()

    def redo(self) -> None:
        """Do it again."""
        with self.lock:
            self.document.redo()
            self.refresh()

    def save(self, over: bool = False) -> None:
        """Write the file, or say why not."""
        with self.lock:
            try:
                self.document.save(over)
            except InputError as error:
                self.refresh(error.lines)
            else:
                self.refresh()

    def settle(self, keep_mine: bool) -> None:
        """The file has changed on disk: write over it, or read it again."""
        with self.lock:
            if keep_mine:
                self.save(over=True)
                return
            try:
                self.document.reload()
            except InputError as error:
                self.refresh(error.lines)
            else:
                self.refresh()

    def show_names(self) -> None:
        """All joints' names or the chosen ones' alone, as the checkbox says."""
        chosen = {edge + 1 for edge in self._both()}
        for joint, name in enumerate(self.names):
            name.visible = self.named.value or joint in chosen

    def other_poses(self) -> None:
        """Twelve more random poses."""
        with self.lock:
            self.first_pose += POSES
            self.refresh()

    def show_clip(self) -> None:
        """The clip that was chosen, from its beginning."""
        with self.lock:
            self.frame.max = max(self.clip.frames - 1, 1)
            self.moment.show(0)
            self.refresh()

    def show_frame(self, frame: int) -> None:
        """Another frame of the clip."""
        with self.lock:
            self.moment.show(min(frame, self.clip.frames - 1))
            self._draw_animal()

    def propose_range(self) -> None:
        """Work out the range that holds the chosen share of the chosen joint's frames, and show it."""
        with self.lock:
            source = self.document.source(self.chosen)
            with warnings.catch_warnings(record=True) as doubts:
                warnings.simplefilter("always")
                try:
                    found = propose(
                        self.document.skeleton, self.motions, self.joint_map, quantile=self.quantile.value / 100
                    )
                except InputError as error:
                    self.refresh(error.lines)
                    return
            self.proposal = found.get(source, {})
            # The heading takes the swing of some bones: that is for these to know, and for no other.
            self.refresh([str(doubt.message) for doubt in doubts if source in str(doubt.message)])

    def take_range(self) -> None:
        """Write the proposed range."""
        with self.lock:
            if self.proposal:
                source = self.document.source(self.chosen)
                try:
                    self.document.set_text(with_ranges(self.document.text, {source: self.proposal}))
                except InputError as error:
                    self.refresh(error.lines)
                else:
                    self.drop_range()

    def drop_range(self) -> None:
        """Forget the proposed range."""
        with self.lock:
            self.proposal = {}
            self.refresh()

    # What is seen.

    @property
    def clip(self) -> Clip:
        """The clip that is shown."""
        index: int = self.clip_name.options.index(self.clip_name.value)
        return self.clips[index]

    def refresh(self, faults: Sequence[str] = ()) -> None:
        """Draw all that depends on the document, at once."""
        skeleton = self.document.skeleton
        self.rest = upright(skeleton)
        for clip in self.clips:
            clip.follow(skeleton)
        with self.server.atomic():
            self._say(faults or self.document.faults)
            self._show_controls()
            self.show_names()
            self._draw_animal()
            self._draw_poses()

    def _say(self, faults: Sequence[str]) -> None:
        document = self.document
        state = "built-in, not to be saved" if document.path is None else "not saved" if document.changed else "saved"
        if self.conflict.visible:
            state += "; <b>the file has changed on disk</b>"
        faults = faults or self.document.doubts
        if faults:
            text = "<br>".join(html.escape(fault) for fault in faults[:3])
            note = f'<div style="color:#a03d00;border-left:4px solid {OUTSIDE};padding-left:6px">{text}</div>'
        else:
            note = ""
        self.status.content = block(f"<b>{html.escape(document.name)}</b>&ensp;{state}{note}")

    def _make_controls(self) -> None:
        self.proposal = {}
        for control in self.controls:
            control.remove()
        moved = functools.partial(self._moved, self.chosen)
        with self.ranges:
            self.controls = [
                RangeControl(self.server, path, range_, self.lock, moved)
                for path, range_ in self.document.ranges(self.chosen).items()
            ]

    def _moved(self, joint: str, path: str, range_: Range) -> None:
        with self.lock:  # another thread may have taken the control away since
            if joint == self.chosen and path in self.document.ranges(joint):
                self.set_range(path, range_)

    def _show_controls(self) -> None:
        document, skeleton = self.document, self.document.skeleton
        if [control.path for control in self.controls] != list(document.ranges(self.chosen)):
            self._make_controls()  # the file was read again, or that was undone
        source, edge = document.source(self.chosen), skeleton.joints.index(document.source(self.chosen)) - 1
        range_ = skeleton.ranges[edge]
        others = [skeleton.joints[e + 1] for e in self._both() if skeleton.joints[e + 1] != self.chosen]
        follows = f"<br>{' and '.join(others)} follows in the mirror" if others else ""
        frame = {"world": "the animal's axes", "parent": "the frame of its parent bone"}.get(
            range_.frame, f"the frame of {range_.frame}"
        )
        parent = skeleton.joints[skeleton.parents[skeleton.joints.index(self.chosen)]]
        self.about.content = block(
            f"from {parent}; angles in {frame}: {_words(range_, skeleton.carrier(edge) >= 0)}{follows}"
        )
        notes = self._notes(range_.angle_names)
        for control in self.controls:
            control.show(document.ranges(source)[control.path], *notes.get(control.path, ()))
        if self.clips:
            self.coverage.content = block(
                f"{100 * self.clip.whole():.1f} % of this clip's frames are inside as a whole"
            )
            told = "; ".join(f"{name} {low:g}° to {high:g}°" for name, (low, high) in self.proposal.items())
            self.proposed.content = block(f'<span style="color:{PROPOSED}">■</span> proposed: {told}') if told else ""

    def _notes(self, angles: tuple[str, str]) -> dict[str, tuple[str]]:
        """Angle -> the share of real frames inside its range."""
        if not self.clips:
            return {}
        shares = self.clip.shares(self._both())
        return {
            angle: (f"{100 * share:.1f} % inside" if share == share else "not seen",)
            for angle, share in zip(angles, (shares.first, shares.second), strict=True)
        }

    def _both(self) -> list[int]:
        """The edge of the chosen joint, and that of its mirror image."""
        skeleton = self.document.skeleton
        edge = skeleton.joints.index(self.chosen) - 1
        pair = next((pair for pair in skeleton.symmetric if edge in pair), (edge,))
        return [edge, *(e for e in pair if e != edge)]

    def _draw_animal(self) -> None:
        skeleton = self.document.skeleton
        posture = self.rest
        chosen = self._both()
        colours = rgb(bone_colours(skeleton))
        balls = np.broadcast_to(rgb([JOINT]), (1, len(skeleton.joints), 3))
        radius = np.full((1, skeleton.edges), self.thick)
        if self.clips:
            frame = min(self.frame.value, self.clip.frames - 1)
            posture, out = self.clip.posture(frame, self.rest), self.clip.outside(frame)
            real = np.where(out[:, None], rgb([OUTSIDE]), rgb([INSIDE])).astype(np.uint8)
            thick = np.where(out, 1.7, 1.0) * self.thick
            self.real.show(posture.joints[None], real[None], thick[None], balls)
            colours = rgb([REST] * skeleton.edges)
            balls = np.broadcast_to(rgb([REST]), balls.shape)
            radius = 0.5 * radius
        else:
            radius[0, chosen] *= 1.6
        self.animal.show(self.rest.joints[None], colours[None], radius, balls)
        shown = np.where(np.isfinite(posture.joints), posture.joints, self.rest.joints)
        for name, place in zip(self.names, shown, strict=True):
            name.position = place + np.array([0, 0, 1.5 * self.thick])
        self._draw_surfaces(posture, chosen)

    def _draw_surfaces(self, posture: Posture, chosen: list[int]) -> None:
        skeleton = self.document.skeleton
        drawn: dict[str, tuple[int, tuple[Range | None, Range | None]]] = {"range": (chosen[0], (None, None))}
        if len(chosen) > 1:
            drawn["mirror"] = (chosen[1], (None, None))
        if any(skeleton.ranges[chosen[0]].usual):
            drawn["usual"] = (chosen[0], skeleton.ranges[chosen[0]].usual)
        if self.proposal:
            edge = skeleton.joints.index(self.document.source(self.chosen)) - 1
            names = skeleton.ranges[edge].angle_names
            drawn["proposed"] = (edge, (self.proposal.get(names[0]), self.proposal.get(names[1])))
        for name, (mesh, rim) in self.surfaces.items():
            edge, only = drawn.get(name, (0, (None, None)))
            parent = skeleton.parents[edge + 1]
            mesh.visible = rim.visible = name in drawn and bool(np.isfinite(posture.joints[parent]).all())
            if mesh.visible:
                length = float(np.linalg.norm(self.rest.joints[edge + 1] - self.rest.joints[parent]))
                made = surface(skeleton, edge, posture, length, only)
                mesh.vertices = made.vertices.astype(np.float32)
                rim.points = made.outline.astype(np.float32)

    def _draw_poses(self) -> None:
        skeleton = self.document.skeleton
        batch = sample(skeleton, 0, self.first_pose, self.first_pose + POSES, ("o_up",))
        assert batch.o_up is not None
        names = bone_colours(skeleton)
        colours = np.repeat(rgb(names)[None], POSES, axis=0)
        balls = np.broadcast_to(rgb([JOINT]), (POSES, len(skeleton.joints), 3))
        self.herd.show(self._herd(forward(batch.o_up, skeleton)), colours, 0.6 * self.thick, balls)
        self.flat.content = pose_grid(skeleton, batch.p2d, names, 3)

    def _herd(self, joints: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Poses (B, N, 3) as they stand on the floor: rows of COLUMNS, half as large as the animal."""
        low, high = joints.min(axis=1), joints.max(axis=1)
        size = 0.48 * self.span / np.maximum((high - low).max(axis=1), 1e-9)
        row, column = np.divmod(np.arange(len(joints)), COLUMNS)
        away = 1.2 + 0.9 * row
        column = column + np.where(row % 2, 0.15, -0.15)  # the next row shows in the gaps of this one
        aside = (0.48 + 0.11 * row) * (column - (COLUMNS - 1) / 2) + 0.29 * away  # along the camera's line of sight
        ground = np.stack([-away, aside, np.zeros(len(joints))], axis=-1) * self.span
        ground[:, 2] = self.rest.joints[:, 2].min()
        foot = np.stack([(low + high)[:, 0] / 2, (low + high)[:, 1] / 2, low[:, 2]], axis=-1)
        return np.asarray((joints - foot[:, None]) * size[:, None, None] + ground[:, None])

    # What goes on by itself.

    def run(self, stop: threading.Event) -> None:
        """Play the clip and watch the file until `stop` is set."""
        before, due, looked = time.monotonic(), 0.0, 0.0
        while not stop.wait(TICK):
            now = time.monotonic()
            with self.lock:
                if self.clips and self.play.value:
                    due += (now - before) * self.clip.fps
                    if due >= 1:
                        self.show_frame((self.frame.value + int(due)) % self.clip.frames)
                        due %= 1
                if now - looked > WATCH:
                    looked = now
                    if self.document.changed_on_disk() != self.conflict.visible:
                        self.conflict.visible = not self.conflict.visible
                        self.refresh()
            before = now


def _legend(skeleton: Skeleton) -> str:
    """Which side has which colour, where there are sides."""
    sides = ((LEFT, "left"), (RIGHT, "right"), (MIDDLE, "middle")) if skeleton.symmetric else ()
    return "&ensp;".join(f'<span style="color:{colour}">●</span> {word}' for colour, word in sides)


def _words(range_: EdgeRange, carried: bool) -> str:
    """Where a bone points at some angles, in the animal's axes or in a frame that another bone carries."""
    if range_.angles == "flexion":
        towards = "0 goes straight on" if carried else "0 is up, 90 forward, 180 down"
        return f"flexion {towards}; abduction to the left is positive"
    if carried:
        return "theta 0 goes straight on; phi tells the side that the bone bends to"
    return "theta 0 is up, 90 level, 180 down; phi -90 is forward, 0 left, 90 backward"


def _unlike(names: list[str]) -> list[str]:
    """The names, numbered where one comes twice."""
    return [name if names.count(name) == 1 else f"{name} ({i + 1})" for i, name in enumerate(names)]
