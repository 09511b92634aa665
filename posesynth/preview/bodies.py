"""Poses in the 3D view: each bone a solid that tapers towards its end, each joint a ball."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import viser

Array = NDArray[np.floating[Any]]
Colours = NDArray[np.uint8]

SIDES = 10  # of a bone's cross-section
PROFILE = ((0.0, 0.35), (0.14, 1.0), (1.0, 0.3))  # along the bone, radius
BALL = 1.15  # radius of a joint's ball in radii of the bone


class Bones(Protocol):
    """What is drawn of a skeleton: N joints, the root first and parents before their children."""

    @property
    def parents(self) -> NDArray[np.int32]:
        """(N,) index of each joint's parent, -1 at the root."""

    @property
    def edges(self) -> int:
        """E = N - 1."""


def rgb(colours: Sequence[str]) -> Colours:
    """(C, 3) of colours ``#rrggbb``."""
    return np.array([tuple(bytes.fromhex(colour[1:])) for colour in colours], np.uint8).reshape(-1, 3)


def light_up(server: "viser.ViserServer") -> None:
    """Light of one kind from all around and a little more from above: viser's own bleaches the colours."""
    scene = server.scene
    scene.configure_default_lights(False)
    scene.configure_environment_map(None)
    scene.add_light_hemisphere("/light/sky", sky_color=(255, 255, 255), ground_color=(190, 190, 200), intensity=2.6)
    scene.add_light_directional("/light/lamp", intensity=1.8, position=(-1.0, -1.5, 3.0), cast_shadow=False)


class Bodies:
    """B poses of one skeleton, each drawn as E bones and N balls, in one place of the scene's tree."""

    def __init__(self, server: "viser.ViserServer", name: str, skeleton: Bones, count: int) -> None:
        self.parents = skeleton.parents[1:]
        bones, balls = count * skeleton.edges, count * (skeleton.edges + 1)
        self._bones = server.scene.add_batched_meshes_simple(
            f"{name}/bones", *_bone(), **_nowhere(bones), cast_shadow=False, receive_shadow=False
        )
        self._balls = server.scene.add_batched_meshes_simple(
            f"{name}/joints", *_ball(), **_nowhere(balls), cast_shadow=False, receive_shadow=False
        )

    def show(self, joints: Array, colours: Colours, radius: float | Array, ball: Colours) -> None:
        """Draw the poses.

        joints: (B, N, 3), NaN where one is not to be seen.  colours: (B, E, 3) of the bones; ball: (B, N, 3) of the
        joints.  radius: of the bones, one for all or (B, E).
        """
        bones = joints[:, 1:] - joints[:, self.parents]
        seen = np.asarray(np.isfinite(bones).all(axis=-1))
        bones = np.where(seen[..., None], bones, 0.0)
        length = np.linalg.norm(bones, axis=-1)
        thick = np.where(seen, np.broadcast_to(radius, seen.shape), 0.0)
        self._bones.batched_positions = _flat(np.nan_to_num(joints[:, self.parents]))
        self._bones.batched_wxyzs = _flat(_turns(bones, length))
        self._bones.batched_scales = _flat(np.stack([thick, thick, length], axis=-1))
        self._bones.batched_colors = _linear(colours)
        known = np.isfinite(joints).all(axis=-1)
        size = np.where(known, BALL * float(np.min(radius)), 0.0)
        self._balls.batched_positions = _flat(np.nan_to_num(joints))
        self._balls.batched_scales = _flat(np.repeat(size[..., None], 3, axis=-1))
        self._balls.batched_colors = _linear(ball)

    def on_click(self, chosen: Any) -> None:
        """Call ``chosen(body, joint)`` for a bone or a ball that is clicked: the joint where the bone ends."""
        edges = len(self.parents)

        def clicked(event: Any) -> None:
            if event.instance_index is None or event.instance_index not in range(len(event.target.batched_positions)):
                return  # said by no browser
            a_body = edges if event.target is self._bones else edges + 1
            body, one = divmod(event.instance_index, a_body)
            chosen(body, one + edges + 1 - a_body)

        self._bones.on_click(clicked)
        self._balls.on_click(clicked)


def _flat(values: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.reshape(-1, values.shape[-1]), np.float32)


def _linear(colours: Colours) -> Colours:
    """Colours as a screen has them in linear light, which is how viser takes those of a batch, and only those."""
    return np.asarray(255 * (colours.reshape(-1, 3) / 255) ** 2.2 + 0.5).astype(np.uint8)


def _nowhere(count: int) -> dict[str, Array]:
    """What is not shown yet: without a size."""
    return {
        "batched_wxyzs": np.tile([1.0, 0, 0, 0], (count, 1)),
        "batched_positions": np.zeros((count, 3)),
        "batched_scales": np.zeros((count, 3)),
        "batched_colors": np.zeros((count, 3), np.uint8),
    }


def _turns(bones: Array, length: Array) -> Array:
    """Quaternions (w, x, y, z) that turn z onto the bones, the shortest way."""
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y, z = np.moveaxis(np.where(length[..., None] > 0, bones / length[..., None], [0.0, 0.0, 1.0]), -1, 0)
    w = np.sqrt(np.maximum((1 + z) / 2, 0.0))
    upside_down = w < 1e-6
    scale = 0.5 / np.where(upside_down, 1.0, w)
    return np.stack(
        [w, np.where(upside_down, 1.0, -y * scale), np.where(upside_down, 0.0, x * scale), np.zeros_like(w)], axis=-1
    )


def _bone() -> tuple[Array, NDArray[np.uint32]]:
    """Vertices and faces of a bone from 0 to 1 along z."""
    turn = np.arange(SIDES) * (2 * np.pi / SIDES)
    rings = [np.stack([r * np.cos(turn), r * np.sin(turn), np.full(SIDES, z)], axis=-1) for z, r in PROFILE]
    vertices = np.concatenate([*rings, [[0.0, 0, 0], [0, 0, 1]]])
    here, beside = np.arange(SIDES), (np.arange(SIDES) + 1) % SIDES
    faces = []
    for ring in range(len(PROFILE) - 1):
        low, high = ring * SIDES, (ring + 1) * SIDES
        faces += [np.stack([low + here, low + beside, high + here], -1)]
        faces += [np.stack([low + beside, high + beside, high + here], -1)]
    end = (len(PROFILE) - 1) * SIDES
    bottom, top = len(PROFILE) * SIDES, len(PROFILE) * SIDES + 1
    faces += [np.stack([beside, here, np.full(SIDES, bottom)], -1)]
    faces += [np.stack([end + here, end + beside, np.full(SIDES, top)], -1)]
    return vertices, np.concatenate(faces).astype(np.uint32)


def _ball() -> tuple[Array, NDArray[np.uint32]]:
    """Vertices and faces of a ball of radius 1: an icosahedron with each face in four."""
    golden = (1 + 5**0.5) / 2
    corners = [(0, a, b) for a in (-1, 1) for b in (-golden, golden)]
    vertices = np.array([np.roll(corner, shift) for shift in range(3) for corner in corners], float)
    side = np.linalg.norm(vertices[:, None] - vertices[None], axis=-1).round(6) == 2
    faces = [
        (a, b, c) for a in range(12) for b in range(a) for c in range(b) if side[a, b] and side[b, c] and side[a, c]
    ]
    fine: list[Array] = []
    for a, b, c in vertices[np.array(faces)]:
        ab, bc, ca = a + b, b + c, c + a
        triangles = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        fine += [np.array([_unit(corner) for corner in triangle]) for triangle in triangles]
    outward = [t if np.linalg.det(t) > 0 else t[::-1] for t in fine]
    return np.concatenate(outward), np.arange(3 * len(outward), dtype=np.uint32).reshape(-1, 3)


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))
