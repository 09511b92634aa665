"""The page of a stored set: what is stored is what is seen, and no more of it is read than that."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("viser", reason="viser is not installed")

from browser import browser
from evolution_poses import drawn_poses

from posesynth import InputError, load_skeleton
from posesynth.draw import INK
from posesynth.evolution import Ancestry, Source
from posesynth.preview import samples
from posesynth.preview.bodies import rgb
from posesynth.preview.samples import SamplesPage, joints_of
from posesynth.preview.server import serve
from posesynth.store import Plan, generate, open  # noqa: A004

PLAN = Plan(load_skeleton("quadruped"), seed=7, n=1500, shard=512, arrays=("p2d", "o", "p3d"))
MISSING = replace(PLAN, skeleton=PLAN.skeleton.with_sampling(missing=0.2), arrays=("p2d", "o"), dtype="float16")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    generate(PLAN, folder / "whole.zarr")
    generate(MISSING, folder / "missing.h5")
    generate(replace(PLAN, n=5, shard=5), folder / "few.zarr")
    return folder


@pytest.fixture
def server() -> Iterator[Any]:
    with serve("a set", port=0) as (server, _):
        yield server


def drawn(page: SamplesPage) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (B, N, 3) of the bodies, and the linear colours of bones (B, E, 3) and joints (B, N, 3)."""
    balls, bones = page._bodies._balls, page._bodies._bones
    joints = np.array(balls.batched_positions).reshape(page._count, -1, 3)
    shape = (page._count, -1, 3)
    return joints, np.array(bones.batched_colors).reshape(shape), np.array(balls.batched_colors).reshape(shape)


@pytest.mark.parametrize("name", ["whole.zarr", "missing.h5"])
@pytest.mark.parametrize("first", [0, 505, 1488])
def test_the_bodies_are_the_stored_poses_moved(name: str, first: int, sets: Path, server: Any) -> None:
    data = open(sets / name)
    page = SamplesPage(server, data, name)
    page.show_page(first)
    joints, _, _ = drawn(page)
    stored = joints_of(data.skeleton, data[first : first + 12])
    np.testing.assert_allclose(joints - joints[:, :1], stored - stored[:, :1], atol=2e-3 if "h5" in name else 1e-5)


def test_the_bodies_stand_on_the_floor_apart_from_each_other(sets: Path, server: Any) -> None:
    page = SamplesPage(server, open(sets / "whole.zarr"), "whole.zarr")
    joints, _, _ = drawn(page)
    np.testing.assert_allclose(joints[..., 2].min(axis=1), 0, atol=1e-6)
    low, high = joints.min(axis=1)[:, :2], joints.max(axis=1)[:, :2]
    apart = ((low[:, None] > high[None]) | (high[:, None] < low[None])).any(axis=-1)
    assert (apart | np.eye(12, dtype=bool)).all()


def test_the_2d_is_that_of_the_set(sets: Path, server: Any) -> None:
    data = open(sets / "missing.h5")
    page = SamplesPage(server, data, "missing.h5")
    page.show_page(100)
    seen = np.isfinite(data[100:112].p2d).all(axis=-1)
    assert not seen.all()
    bones = int((seen[:, 1:] & seen[:, data.skeleton.parents[1:]]).sum())
    assert page.flat.content.count("<path") == bones
    for sample, hidden in zip(range(100, 112), (~seen).sum(axis=1).tolist(), strict=True):
        label = f"{sample} · {hidden} missing" if hidden else f"{sample}"
        assert f">{label}</text>" in page.flat.content


def test_a_joint_that_is_missing_in_the_2d_is_pale_in_the_3d(sets: Path, server: Any) -> None:
    data = open(sets / "missing.h5")
    page = SamplesPage(server, data, "missing.h5")
    _, bones, balls = drawn(page)
    seen = np.isfinite(data[:12].p2d).all(axis=-1)
    assert (balls[~seen] == 255).all()
    dark = rgb([INK])[0]
    assert (balls[seen] < dark + 1).all()
    both = seen[:, 1:] & seen[:, data.skeleton.parents[1:]]
    pale = (np.ptp(bones, axis=-1) < 30) & (bones.min(axis=-1) > 100)
    np.testing.assert_array_equal(pale, ~both)


def test_the_buttons_turn_pages_and_stop_at_the_ends(sets: Path, server: Any) -> None:
    page = SamplesPage(server, open(sets / "whole.zarr"), "whole.zarr")
    seen = []
    for way in ("previous", "next", "next", "previous", "last", "next", "first"):
        page.turn(way)
        seen.append(page.first)
        assert page.index.value == page.first
        assert f"samples {page.first:,} to {page.first + 11:,}</b> of 1,500" in page.status.content
    assert seen == [0, 12, 24, 12, 1488, 1488, 0]
    page.show_page(10**12)
    assert page.first == page.index.value == 1488
    random = []
    for _ in range(20):
        page.turn("random")
        random.append(page.first)
    assert len(set(random)) > 10
    assert 0 <= min(random) <= max(random) <= 1488


def test_a_set_of_fewer_is_one_page(sets: Path, server: Any) -> None:
    page = SamplesPage(server, open(sets / "few.zarr"), "few.zarr")
    for way in ("next", "last", "random", "previous"):
        page.turn(way)
        assert page.first == 0
    assert drawn(page)[0].shape == (5, 16, 3)
    assert "samples 0 to 4</b> of 5" in page.status.content


def test_only_the_chunks_of_the_page_are_read(sets: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open(sets / "whole.zarr")
    page = SamplesPage(server, data, "whole.zarr")
    read: list[tuple[str, int]] = []
    chunk = data._source.chunk
    monkeypatch.setattr(data._source, "chunk", lambda name, index: read.append((name, index)) or chunk(name, index))
    page.turn("last")
    assert {index for _, index in read} == {2}
    read.clear()
    page.show_page(508)  # four samples of one, eight of the next
    assert {index for _, index in read} <= {0, 1}


def test_a_damaged_chunk_is_told_and_the_others_are_shown(
    sets: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = open(sets / "whole.zarr")
    page = SamplesPage(server, data, "<i>whole</i>.zarr")
    chunk = data._source.chunk

    def broken(name: str, index: int) -> Any:
        if index == 1:
            raise InputError("p3d/c.1.0.0: is missing or damaged & worse")
        return chunk(name, index)

    monkeypatch.setattr(data._source, "chunk", broken)
    page.show_page(600)
    assert "is missing or damaged &amp; worse" in page.status.content
    assert page.flat.content == ""
    assert np.asarray(page._bodies._balls.batched_scales).max() == 0  # nothing is shown for what it is not
    page.turn("last")
    assert "damaged" not in page.status.content
    assert np.asarray(page._bodies._balls.batched_scales).min() > 0


def test_a_set_that_is_gone_is_told(sets: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open(sets / "whole.zarr")
    page = SamplesPage(server, data, "whole.zarr")

    def gone(name: str, index: int) -> Any:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(data._source, "chunk", gone)
    page.show_page(600)
    assert "whole.zarr: cannot be read (No such file or directory)" in page.status.content
    assert page.flat.content == ""


def test_a_set_tells_what_it_is(sets: Path) -> None:
    words = samples._about(open(sets / "missing.h5"), "<i>missing</i>.h5")
    assert "&lt;i&gt;missing" in words
    assert "<i>" not in words
    text = re.sub("<[^>]+>", " ", words)
    for fact in ("1,500 samples of  quadruped", "seed 7", "float16", "arrays: p2d, o"):
        assert fact in text
    assert "bred" not in text


def test_a_bred_set_tells_its_ancestry(tmp_path: Path, server: Any) -> None:
    human = load_skeleton("human")
    ancestry = Ancestry(drawn_poses(human, 300), 3, (Source("walk.bvh", "ab" * 32, 320, 300),), "human-cmu-bvh.yaml")
    generate(Plan(human, seed=11, n=600, shard=512, ancestry=ancestry), tmp_path / "bred.zarr")
    data = open(tmp_path / "bred.zarr")
    page = SamplesPage(server, data, "bred.zarr")
    assert "bred from 300 poses of 1 clip in 3 generations" in samples._about(data, "bred.zarr")
    stored = joints_of(data.skeleton, data[:12])
    joints, _, _ = drawn(page)
    np.testing.assert_allclose(joints - joints[:, :1], stored - stored[:, :1], atol=1e-5)


def test_what_is_no_set_is_one_line(sets: Path, tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none.zarr", "there is no data set"),
        (tmp_path / "a.txt", "expected one ending in"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            samples.preview_samples(path, port=0)
        assert len(caught.value.lines) == 1
    with serve("first", port=0) as (server, _), pytest.raises(InputError, match=r"port: \d+ is in use"):
        samples.preview_samples(sets / "few.zarr", port=server.get_port())


def test_the_page_turns_in_a_browser(sets: Path) -> None:
    with browser() as shown, serve("whole.zarr", port=0) as (server, url):
        page = SamplesPage(server, open(sets / "whole.zarr"), "whole.zarr")
        shown.open(url)
        shown.wait_for(lambda: "samples 0 to 11 of 1,500" in shown.text(), "the first page")
        shown.wait_for(lambda: shown.count("svg[aria-label] rect") == 12, "twelve poses")
        shown.press("next")
        shown.wait_for(lambda: "samples 12 to 23 of 1,500" in shown.text(), "the second page")
        shown.press("last")
        shown.wait_for(lambda: "samples 1,488 to 1,499" in shown.text(), "the last page")
        index = shown.field("from sample")
        index.send_keys(shown.keys.CONTROL, "a")
        index.send_keys("77")
        shown.wait_for(lambda: "samples 77 to 88" in shown.text(), "the page that was asked for")
        assert page.first == 77
        assert shown.complaints() == []
