"""Pictures: pure functions of (skeleton, seed, i), with labels that agree with what they show."""

import hashlib
import io
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import golden
import naive
import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from PIL import Image
from strategies import skeletons

from posesynth import InputError, Skeleton, load_skeleton, rng, sample
from posesynth.render import ImageBatch, Photographs, draws, render, write_images
from posesynth.render.anatomy import Role, anatomy
from posesynth.render.draws import Draws
from posesynth.render.images import IMAGE_VERSION
from posesynth.render.jpeg import _CHROMA, _LUMA, _quantise, _steps
from posesynth.render.raster import FAR, Parts, labels, surface
from posesynth.skeleton import builtin_skeletons

SIZE = 64
ROOT = Path(__file__).resolve().parents[1]
FIELDS = ("image", "p2d", "visible", "p3d", "silhouette")

# Raise IMAGE_VERSION when these change: people hold folders whose identity promises those bytes.
GOLDEN_VERSION = 1
GOLDEN = {
    "dog": "6a4bf6600ca3688109082ff61ceecec18483c9be34625b37a445928489f78966",
    "fly": "5526e5623479a193b4a6802ca1e6d235dcaaadc0fbdf89d8aaa7812cf0d16373",
    "hand": "6d7c1aa9e556a04a0b0517a7a939feadeb6744c172d2107fbee49cbce74efaaf",
    "human": "d07edff80ea7f82c70c9fbfa13460072c1ded26190eeba0d834ba3ac781ca695",
    "mammal": "c59f45402444151eda1aa110f4f1b276f1b7d40d6d799e52cacccc515d783d8c",
    "mouse": "40054b646460d23fde3e1cd517b626ce1cc163f4c199f7933182c32a2bf30f5b",
    "quadruped": "5daae63409239966d0a0807588662b4ba7451ff9c090e94c9d6645ed31429e69",
    "every_dependence": "764554da4a08fec13a4a29c37fdf6cfd744d90b6b6ddd76e30bdc32618e84edc",
    "every_option": "ca61f54cb1d299ef4d45a3cc035e1edaf5534cc7157e0f8f540303b3018518cc",
}


@pytest.fixture(scope="module")
def dog() -> Skeleton:
    return load_skeleton("dog")


def same(a: ImageBatch, b: ImageBatch) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in FIELDS)


def joined(batches: list[ImageBatch]) -> ImageBatch:
    return ImageBatch(*(np.concatenate([getattr(b, name) for b in batches]) for name in FIELDS), batches[0].start)


# Pure functions


def test_splitting_a_range_changes_nothing(dog: Skeleton) -> None:
    whole = render(dog, 3, 250, 262, SIZE)
    for cuts in ([250, 251, 262], [250, 255, 256, 257, 262]):
        parts = [render(dog, 3, a, b, SIZE) for a, b in pairwise(cuts)]
        assert same(whole, joined(parts))


def test_a_range_longer_than_a_block_is_its_parts(dog: Skeleton) -> None:
    whole = render(dog, 0, 0, 260, 32)
    assert same(joined([render(dog, 0, 0, 100, 32), render(dog, 0, 100, 260, 32)]), whole)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(dog: Skeleton, threads: int) -> None:
    assert same(render(dog, 0, 0, 7, SIZE, threads=threads), render(dog, 0, 0, 7, SIZE, threads=1))


def test_how_many_are_rendered_in_a_call_changes_nothing(dog: Skeleton, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = render(dog, 0, 0, 11, SIZE, threads=1)
    monkeypatch.setattr("posesynth.render.images.PIXELS_AT_ONCE", 2 * SIZE**2)
    for threads in (1, 2):
        assert same(render(dog, 0, 0, 11, SIZE, threads=threads), whole)


def test_the_last_pictures_of_all_are_pictures(dog: Skeleton) -> None:
    assert len(render(dog, 2**64 - 1, 2**64 - 2, 2**64, SIZE)) == 2
    assert render(dog, 0, 5, 5, SIZE).image.shape == (0, SIZE, SIZE, 3)


def test_draws_are_philoxs() -> None:
    drawn, index = Draws(7, 2**40 + 3, 2**40 + 5), 2**40 + 4
    for block, place in ((draws.CAMERA, 0), (draws.COAT, 7), (draws.SEEDS, 3)):
        word = naive.word(7, index, rng.IMAGE, block * draws.ROOM + place)
        assert drawn.words(block, place)[1] == word
        assert drawn.uniform(block, place)[1] == np.float32(naive.closed_below(word))


def test_seeds_and_indices_give_other_pictures(dog: Skeleton) -> None:
    images = np.concatenate([render(dog, seed, 0, 4, SIZE).image for seed in range(3)])
    assert len({image.tobytes() for image in images}) == 12


def pictures_digest(skeleton: Skeleton) -> str:
    batch = render(skeleton, 0, 0, 6, SIZE)
    digest = hashlib.sha256()
    for name in FIELDS:
        array = getattr(batch, name)
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", golden.golden_skeletons())
def test_pictures_are_the_golden_ones(name: str) -> None:
    """Of skeletons as they are: where golden.json says that one has changed, renew its digest here."""
    assert IMAGE_VERSION == GOLDEN_VERSION
    assert pictures_digest(golden.golden_skeletons()[name]) == GOLDEN[name]


PROCESSORS = {
    "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    "unoptimised": {"NUMBA_OPT": "0"},
}


@pytest.mark.long
@pytest.mark.parametrize("variant", PROCESSORS)
def test_another_processor_makes_the_same_pictures(variant: str, tmp_path: Path) -> None:
    script = "import test_render as t; print(t.pictures_digest(t.load_skeleton('human')))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        env={**os.environ, **PROCESSORS[variant], "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout.strip() == GOLDEN["human"], done.stderr


# Labels


@pytest.mark.parametrize("name", builtin_skeletons())
def test_a_joint_that_is_seen_lies_on_the_body(name: str) -> None:
    batch = render(load_skeleton(name), 1, 0, 60, SIZE)
    pixels = np.floor(batch.p2d).astype(int)
    b, j = np.nonzero(batch.visible)
    x, y = pixels[b, j].T
    assert ((x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)).all()
    assert batch.silhouette[b, y, x].all()
    assert 0.3 < batch.visible.mean() < 0.95


def test_the_pose_is_that_of_the_sample(dog: Skeleton) -> None:
    batch, poses = render(dog, 5, 10, 20, SIZE), sample(dog, 5, 10, 20)
    bones = batch.p3d[:, 1:] - batch.p3d[:, dog.parents[1:]]
    np.testing.assert_allclose(np.linalg.norm(bones, axis=-1), poses.o[..., 0], atol=1e-5)
    assert not batch.p3d[:, 0].any()


def test_a_view_that_the_skeleton_narrows_is_kept(dog: Skeleton) -> None:
    narrow = dog.with_sampling(yaw=(60, 90), pitch=(0, 10), roll=(0, 0))
    poses = sample(narrow, 2, 0, 8, extras=("p3d",))
    np.testing.assert_allclose(render(narrow, 2, 0, 8, SIZE).p3d, poses.p3d, atol=1e-5)


def test_filmed_pictures_show_the_animal_upright(dog: Skeleton) -> None:
    """The way up of a picture is that of the root's frame: found by rotating the upright pose onto p3d."""
    batch, poses = render(dog, 0, 0, 200, 32), sample(dog, 0, 0, 200, extras=("p3d", "rotation"))
    upright = np.einsum("bji,bnj->bni", poses.rotation, poses.p3d)
    u, _, vt = np.linalg.svd(np.einsum("bni,bnj->bij", batch.p3d, upright))
    up = (u @ vt)[:, :, 2]
    filmed = up[:, 2] > np.cos(np.radians(35))
    assert 0.78 < filmed.mean() < 0.95


def test_points_are_seen_from_the_distance_that_is_asked_for(dog: Skeleton) -> None:
    """p2d is the projection of p3d, up to where the picture lies and how large it is."""
    near = dog.with_sampling(distance=(6, 6))
    batch = render(near, 0, 0, 20, SIZE)
    scale = 6 / (6 + batch.p3d[..., 1:2].astype(float))
    seen = batch.p3d[..., [0, 2]] * scale * [1, -1]
    for points, truth in zip(batch.p2d.astype(float), seen, strict=True):
        size = np.linalg.norm(points - points.mean(axis=0)) / np.linalg.norm(truth - truth.mean(axis=0))
        np.testing.assert_allclose(points - points[0], (truth - truth[0]) * size, atol=1e-2)


@settings(max_examples=40)
@given(skeletons(max_joints=14, sampling=True))
def test_any_skeleton_has_pictures(skeleton: Skeleton) -> None:
    batch = render(skeleton, 0, 0, 3, 32)
    assert np.isfinite(batch.p2d).all()
    assert np.isfinite(batch.p3d).all()
    x, y = np.floor(batch.p2d).astype(int)[batch.visible].T
    assert batch.silhouette[np.nonzero(batch.visible)[0], y, x].all()
    assert (batch.image.reshape(3, -1).std(axis=1) > 0).all()
    assert len(anatomy(skeleton).roles) == len(skeleton.joints)


def test_names_tell_what_joints_are() -> None:
    roles = {name: anatomy(load_skeleton(name)) for name in builtin_skeletons()}

    def found(name: str, role: Role) -> set[str]:
        joints = load_skeleton(name).joints
        return {joint for joint, is_ in zip(joints, roles[name].roles, strict=True) if is_ is role}

    assert found("dog", Role.TAIL) == {"tail"}
    assert found("dog", Role.GIRDLE) == {"left_shoulder", "right_shoulder", "left_hip", "right_hip"}
    assert found("human", Role.TRUNK) == {"spine", "thorax"}
    assert found("human", Role.HEAD) == {"head"}
    assert found("mouse", Role.TAIL) == {"tail_middle", "tail_end"}
    assert len(found("hand", Role.PALM)) == 5
    assert [name for name in roles if roles[name].upright] == ["human"]
    assert roles["fly"].many


# The rasteriser and its slow twin


def scene(ends: list, radii: list, axis: list, squeeze: list, blend: list, joints: list, flesh: list) -> Parts:
    """One picture's parts; joints are (x, y, depth)."""

    def f(a: object) -> np.ndarray:
        return np.ascontiguousarray(a, np.float32)[None]

    points = np.array(joints, np.float32).reshape(-1, 3)
    count = len(radii)
    return Parts(
        f(ends), f(radii), f(axis), f(squeeze), f(np.zeros(count)), np.zeros(count, np.int32),
        np.array(blend, np.float32), np.ones(1, np.float32), f(points[:, :2]), f(points[:, 2]), f(flesh),
    )  # fmt: skip


def drawn(parts: Parts, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    depth, part = np.empty((size, size), np.float32), np.empty((size, size), np.int32)
    normal = np.empty((3, size, size), np.float32)
    surface(0, parts, depth, part, normal)
    return depth, part, normal


def slow_depth(ends: np.ndarray, radii: np.ndarray, axis: np.ndarray, squeeze: float, size: int) -> np.ndarray:
    """A round cone's depth: the nearest of a thousand squeezed spheres along it, by marching nothing but formulas."""
    y, x = np.mgrid[:size, :size] + 0.5
    nearest = np.full((size, size), np.inf)
    stretch = np.eye(3) + (1 / squeeze - 1) * np.outer(axis, axis)  # into the space where the part is round
    sight = stretch @ [0.0, 0.0, 1.0]
    for t in np.linspace(0, 1, 1001):
        centre, radius = ends[0] + t * (ends[1] - ends[0]), radii[0] + t * (radii[1] - radii[0])
        from_centre = np.stack([x, y, np.zeros_like(x)], axis=-1) - centre
        o = from_centre @ stretch.T
        a, b, c = sight @ sight, o @ sight, (o * o).sum(axis=-1) - radius * radius
        h = b * b - a * c
        nearest = np.where(h > 0, np.minimum(nearest, (-b - np.sqrt(np.maximum(h, 0))) / a), nearest)
    return nearest


def test_the_rasteriser_agrees_with_its_slow_twin() -> None:
    """Random parts without blending: depth to a tenth of a pixel, and the part in front, off the outlines."""
    random = np.random.default_rng(0)
    size = 40
    for _ in range(12):
        count = 3
        ends = random.uniform(2, 38, (count, 2, 3))
        radii = random.uniform(2, 9, (count, 2))
        axis = random.normal(size=(count, 3))
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        squeeze = random.uniform(0.4, 1.6, count)
        depth, part, normal = drawn(scene(ends, radii, axis, squeeze, [0] * count, [], []), size)
        slow = np.stack([slow_depth(*them, size) for them in zip(ends, radii, axis, squeeze, strict=True)])
        order = np.sort(np.where(np.isfinite(slow), slow, 1e6), axis=0)
        body = order[0] < 1e6
        assert np.mean((depth < FAR) != body) < 0.005  # pixels an outline just touches
        both = body & (depth < FAR)
        close = np.abs(depth - order[0])[both]
        assert np.quantile(close, 0.99) < 0.1
        assert np.median(close) < 0.005
        clear_cut = both & (order[1] - order[0] > 0.5)
        assert np.mean(part[clear_cut] == slow.argmin(axis=0)[clear_cut]) > 0.99
        np.testing.assert_allclose((normal**2).sum(axis=0)[both], 1, atol=1e-4)
        assert (normal[2][both] < 0.02).all()  # every surface that is seen faces the camera


def test_a_blend_hides_the_crease_and_nothing_else() -> None:
    """Between two spheres the surface comes forward by less than the blend's width; away from them it is as it was."""
    ends = [[[14, 20, 50]] * 2, [[26, 20, 50]] * 2]
    axis, ones = [[1, 0, 0]] * 2, [1, 1]
    hard, _, _ = drawn(scene(ends, [[9, 9]] * 2, axis, ones, [0, 0], [], []), 40)
    soft, _, _ = drawn(scene(ends, [[9, 9]] * 2, axis, ones, [0.5, 0.5], [], []), 40)
    moved = np.where(hard < FAR, hard - soft, 0)
    assert 0.5 < moved[20, 20] < 4.5
    assert moved.min() >= 0
    assert not moved[:, :8].any()
    assert not moved[:, 32:].any()


def test_a_joint_is_hidden_by_what_lies_before_it() -> None:
    """A thin limb in front of and behind a ball, in the open, out of the picture, and behind a thing in the way."""
    ball = [[[20, 20, 50]] * 2]
    joints = [(20, 20, 30), (20, 20, 70), (20, 20, 50), (60, 20, 50), (20, 13, 38)]
    parts = scene(ball, [[10, 10]], [[1, 0, 0]], [1], [0], joints, [2, 2, 10, 2, 2])
    depth, part, _ = drawn(parts, 40)
    hidden = np.zeros((40, 40), bool)
    hidden[:16] = True
    visible, silhouette = np.empty(5, bool), np.empty((40, 40), bool)
    labels(0, parts, depth, part, hidden, visible, silhouette)
    assert visible.tolist() == [True, False, True, False, False]
    assert not silhouette[:16].any()
    assert silhouette[20, 20]


# JPEG


def slow_quantise(plane: np.ndarray, quality: int, table: np.ndarray) -> np.ndarray:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = np.clip((table.reshape(8, 8) * scale + 50) // 100, 1, 255)
    out = plane.copy()
    for y in range(0, len(plane), 8):
        for x in range(0, len(plane), 8):
            c = scipy.fft.dctn(plane[y : y + 8, x : x + 8], norm="ortho")
            out[y : y + 8, x : x + 8] = scipy.fft.idctn(np.round(c / steps) * steps, norm="ortho")
    return out


@pytest.mark.parametrize("quality", [5, 49, 50, 90, 100])
@pytest.mark.parametrize("table", [_LUMA, _CHROMA], ids=["luma", "chroma"])
def test_the_cosine_transform_agrees_with_scipys(quality: int, table: np.ndarray) -> None:
    random = np.random.default_rng(quality)
    plane = random.uniform(-128, 127, (72, 72)).astype(np.float32)
    slow = slow_quantise(plane.astype(float), quality, table)
    steps, tile, turned = (np.empty(512, np.float32) for _ in range(3))
    _steps(quality, table, steps)
    _quantise(plane, 72, steps, tile, turned)
    # A coefficient half way between two steps may go either way.
    assert np.mean(np.abs(plane - slow) > 1e-2) < 0.02


def test_a_plane_that_is_no_multiple_of_eight_is_continued() -> None:
    plane = np.full((41, 41), 13.0, np.float32)
    steps, tile, turned = (np.empty(512, np.float32) for _ in range(3))
    _steps(100, _LUMA, steps)
    _quantise(plane, 41, steps, tile, turned)
    np.testing.assert_allclose(plane, 13, atol=0.1)


# Photographs


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for k, colour in enumerate([(250, 0, 0), (0, 250, 0), (0, 0, 250)]):
        Image.new("RGB", (50 + 30 * k, 40), colour).save(folder / f"{k}.png")
    (folder / "notes.txt").write_text("not a photograph")
    return folder


def test_photographs_stand_behind_the_bodies(dog: Skeleton, photographs: Path) -> None:
    plain, batch = render(dog, 0, 0, 12, SIZE), render(dog, 0, 0, 12, SIZE, photographs)
    assert np.array_equal(batch.p2d, plain.p2d)
    assert np.array_equal(batch.silhouette, plain.silhouette)
    corners = batch.image[:, :3, :3].reshape(12, -1, 3).mean(axis=1)
    strongest = corners.argmax(axis=1)
    assert set(strongest) == {0, 1, 2}
    singly = [render(dog, 0, k, k + 1, SIZE, photographs) for k in (5, 6)]
    assert same(render(dog, 0, 5, 7, SIZE, Photographs(photographs)), joined(singly))


def test_the_digest_of_photographs_is_of_names_and_bytes(photographs: Path) -> None:
    before = Photographs(photographs).digest
    assert Photographs(photographs).digest == before
    Image.new("RGB", (50, 40), (1, 2, 3)).save(photographs / "0.png")
    assert Photographs(photographs).digest != before


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "cannot be read .*; expected a folder"),
        ({}, "holds no photograph; expected files in"),
        ({"a.png": b"not a picture"}, r"a.png: cannot be read as a photograph \(UnidentifiedImageError\)"),
        ({"a.png": b""}, "a.png: cannot be read as a photograph"),
    ],
    ids=["no folder", "nothing in it", "no picture", "empty file"],
)
def test_a_wrong_folder_is_one_line(dog: Skeleton, tmp_path: Path, content: dict[str, bytes] | None, line: str) -> None:
    folder = tmp_path / "folder"
    if content is not None:
        folder.mkdir()
        for name, data in content.items():
            (folder / name).write_bytes(data)
    with pytest.raises(InputError, match=line) as error:
        render(dog, 0, 0, 1, SIZE, folder)
    assert len(error.value.lines) == 1


def test_photographs_that_cannot_be_read_are_told_before_anything_is_written(dog: Skeleton, tmp_path: Path) -> None:
    (tmp_path / "photographs/a.jpg").mkdir(parents=True)
    with pytest.raises(InputError, match="is no file"):
        write_images(dog, tmp_path / "out", 3, size=SIZE, backgrounds=tmp_path / "photographs")
    assert not (tmp_path / "out").exists()


def test_a_cut_photograph_is_one_line(dog: Skeleton, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.effect_noise((80, 80), 60).convert("RGB").save(file, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(file.getvalue()[:700])
    with pytest.raises(InputError, match=r"cut\.jpg: cannot be read as a photograph"):
        render(dog, 0, 0, 1, SIZE, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"size": 31}, "size: is 31; expected a whole number from 32 to 2048"),
        ({"size": 2049}, "size: is 2049"),
        ({"size": 64.0}, "size: is 64.0"),
        ({"stop": 2**64 + 1}, "stop: is"),
        ({"seed": -1}, "seed: is -1"),
        ({"threads": 0}, "threads: is 0"),
        ({"skeleton": "dog"}, "skeleton: is 'dog'; expected what posesynth.load_skeleton gives"),
    ],
)
def test_wrong_values_are_refused(dog: Skeleton, wrong: dict[str, object], line: str) -> None:
    given_ = {"skeleton": dog, "seed": 0, "start": 0, "stop": 1, **wrong}
    with pytest.raises(InputError, match=line):
        render(**given_)  # type: ignore[arg-type]
