"""Pictures on their way: the live stream, the folder that generate --images writes, and the command."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from lifter.data.images import load_image_set
from posesynth import InputError, Skeleton, load_skeleton
from posesynth.cli import main
from posesynth.render import ImageStream, render, write_images
from posesynth.render.write import CHUNK
from posesynth.store.folder import LocalFolder

SIZE = 32
COUNT = 2 * CHUNK + 9


@pytest.fixture(scope="module")
def dog() -> Skeleton:
    return load_skeleton("dog")


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(dog: Skeleton, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a set that was written in one go."""
    folder = tmp_path_factory.mktemp("whole") / "set"
    write_images(dog, folder, COUNT, size=SIZE)
    return digests(folder)


# The stream


def test_the_stream_gives_what_render_gives(dog: Skeleton) -> None:
    made = render(dog, 4, 5, 15, SIZE)
    batches = list(ImageStream(dog, 4, seed=4, start=5, stop=15, size=SIZE))
    assert [(batch.start, batch.next_index, len(batch)) for batch in batches] == [(5, 9, 4), (9, 13, 4), (13, 15, 2)]
    for name in ("image", "p2d", "visible", "p3d", "silhouette"):
        np.testing.assert_array_equal(torch.cat([getattr(b, name) for b in batches]).numpy(), getattr(made, name))
    assert batches[0].image.dtype == torch.uint8
    assert batches[0].visible.dtype == torch.bool
    assert torch.equal(next(iter(batches[0].to("cpu"))), batches[0].image)


def test_the_stream_goes_on_from_its_state(dog: Skeleton) -> None:
    first = ImageStream(dog, 3, size=SIZE)
    assert [batch.start for batch in islice(first, 3)] == [0, 3, 6]
    state = first.state_dict()
    assert state == {"index": 9}
    again = ImageStream(dog, 3, size=SIZE)
    again.load_state_dict(state)
    assert next(iter(again)).start == 9


def test_workers_and_ranks_share_the_stream(dog: Skeleton) -> None:
    starts = []
    for rank in range(2):
        stream = ImageStream(dog, 2, stop=16, size=SIZE, rank=rank, world_size=2, threads=1)
        loader = DataLoader(stream, batch_size=None, num_workers=2)
        starts += [batch.start for batch in loader]
    assert sorted(starts) == list(range(0, 16, 2))


@pytest.mark.parametrize(
    ("wrong", "line"),
    [({"size": 8}, "size: is 8"), ({"batch_size": 0}, "batch_size: is 0"), ({"backgrounds": "nowhere"}, "nowhere: ")],
)
def test_an_impossible_stream_is_refused(dog: Skeleton, wrong: dict[str, object], line: str) -> None:
    with pytest.raises(InputError, match=line):
        ImageStream(dog, **wrong)  # type: ignore[arg-type]


# The folder


def test_the_folder_holds_the_pictures_and_their_labels(dog: Skeleton, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    assert write_images(dog, folder, 5, seed=7, size=SIZE).written == 5
    made = render(dog, 7, 0, 5, SIZE)
    for i in range(5):
        image, mask = Image.open(folder / f"images/{i:08d}.png"), Image.open(folder / f"masks/{i:08d}.png")
        np.testing.assert_array_equal(np.asarray(image), made.image[i])
        np.testing.assert_array_equal(np.asarray(mask) == 255, made.silhouette[i])
    with np.load(folder / "poses.npz") as poses:
        for name in ("p2d", "visible", "p3d"):
            np.testing.assert_array_equal(poses[name], getattr(made, name))
            assert poses[name].dtype == getattr(made, name).dtype
    entries = json.loads((folder / "annotations.json").read_text())["annotations"]
    # COCOeval keeps the matched annotation's id, and 0 where there is none.
    assert [(entry["id"], entry["image_id"]) for entry in entries] == [(i + 1, i) for i in range(5)]
    entry = entries[3]
    x, y, w, h = entry["bbox"]
    assert made.silhouette[3, y : y + h, x : x + w].sum() == made.silhouette[3].sum() == entry["area"]


def test_our_reader_of_coco_takes_it(dog: Skeleton, tmp_path: Path) -> None:
    write_images(dog, tmp_path / "set", 6, size=SIZE)
    made = render(dog, 0, 0, 6, SIZE)
    found = load_image_set(str(tmp_path / "set"))
    assert found.names == dog.joints
    assert len(found.annotations) == 6
    for i, annotation in enumerate(found.annotations):
        assert Path(annotation.image) == tmp_path / "set" / "images" / f"{i:08d}.png"
        inside = ((made.p2d[i] >= 0) & (made.p2d[i] < SIZE)).all(axis=1)
        np.testing.assert_array_equal(np.isfinite(annotation.keypoints[:, 0]), inside)
        np.testing.assert_allclose(annotation.keypoints[inside], made.p2d[i][inside], atol=0.006)
        np.testing.assert_array_equal(annotation.visible, made.visible[i])


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(dog: Skeleton, tmp_path: Path, whole: dict[str, str]) -> None:
    folder = tmp_path / "set"

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_images(dog, folder, COUNT, size=SIZE, progress=stop)
    assert not (folder / "records" / "manifest.json").exists()
    done = write_images(dog, folder, COUNT, size=SIZE)
    assert done.reused >= CHUNK
    assert done.written + done.reused == COUNT
    assert digests(folder) == whole


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3] + b"abc")


DAMAGES = {
    "an image changed": ("images/00000003.png", damage),
    "a mask gone": (f"masks/{CHUNK:08d}.png", Path.unlink),
    "a record cut": ("records/00000001.json", lambda path: path.write_bytes(path.read_bytes()[:100])),
    "a record's label changed": (
        "records/00000000.json",
        lambda path: path.write_text(path.read_text().replace("true", "false", 1)),
    ),
    "the annotations gone": ("annotations.json", Path.unlink),
    "the poses changed": ("poses.npz", damage),
    "the manifest cut": ("records/manifest.json", lambda path: path.write_text("{")),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_set_is_mended_by_the_same_call(
    dog: Skeleton, tmp_path: Path, whole: dict[str, str], name: str
) -> None:
    folder = tmp_path / "set"
    write_images(dog, folder, COUNT, size=SIZE)
    file, harm = DAMAGES[name]
    harm(folder / file)
    assert digests(folder) != whole
    write_images(dog, folder, COUNT, size=SIZE)
    assert digests(folder) == whole


def test_a_finished_set_is_left_as_it_is(dog: Skeleton, tmp_path: Path) -> None:
    write_images(dog, tmp_path / "set", 5, size=SIZE)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")}
    assert write_images(dog, tmp_path / "set", 5, size=SIZE).written == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")} == before


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"n": 6}, "n: is 5 in the set that is there and 6 in this one"),
        ({"seed": 1}, "seed: is 0 in the set"),
        ({"size": 64}, "size: is 32 in the set"),
        ({"skeleton": load_skeleton("mouse")}, "skeleton: is 'dog' in the set .* and 'mouse' in this one"),
        ({"skeleton": load_skeleton("dog").with_sampling(pitch=(0, 1))}, "is 'another of that name' in the set"),
    ],
    ids=["n", "seed", "size", "skeleton", "sampling"],
)
def test_another_set_is_refused(dog: Skeleton, tmp_path: Path, change: dict[str, object], line: str) -> None:
    folder = tmp_path / "set"
    write_images(dog, folder, 5, size=SIZE)
    before = digests(folder)
    with pytest.raises(InputError, match=line) as error:
        write_images(**{"skeleton": dog, "out": folder, "n": 5, "size": SIZE, **change})  # type: ignore[arg-type]
    assert len(error.value.lines) == 1
    assert digests(folder) == before


def test_other_content_is_refused_and_not_touched(dog: Skeleton, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \('mine\.txt'\); expected a path where nothing is yet"):
        write_images(dog, tmp_path, 5, size=SIZE)
    with pytest.raises(InputError, match="is no folder"):
        write_images(dog, tmp_path / "mine.txt", 5, size=SIZE)
    with pytest.raises(InputError, match="there is no such folder"):
        write_images(dog, tmp_path / "nowhere" / "set", 5, size=SIZE)
    (tmp_path / "foreign" / "records").mkdir(parents=True)
    (tmp_path / "foreign" / "records" / "identity.json").write_text("[]")
    with pytest.raises(InputError, match=r"identity\.json is not posesynth's"):
        write_images(dog, tmp_path / "foreign", 5, size=SIZE)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["foreign", "records", "identity.json", "mine.txt"]


def test_a_full_disk_is_one_line_and_the_same_call_goes_on(
    dog: Skeleton, tmp_path: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put, left = LocalFolder.put, 150

    def full(self: LocalFolder, name: str, data: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        put(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "put", full)
        with pytest.raises(
            InputError, match=r"cannot be written \(No space left on device\); the same command"
        ) as error:
            write_images(dog, tmp_path / "set", COUNT, size=SIZE)
    assert len(error.value.lines) == 1
    write_images(dog, tmp_path / "set", COUNT, size=SIZE)
    assert digests(tmp_path / "set") == whole


# The command


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as leave:
        main([str(arg) for arg in args])
    return int(leave.value.code or 0)


GENERATE = ("generate", "--images", "--skeleton", "dog", "--n", "4", "--size", SIZE)


def test_the_command_writes_the_set(
    dog: Skeleton, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*GENERATE, "--out", "set", "--seed", 3) == 0
    assert capsys.readouterr().out == "set: 4 images written; the set is complete\n"
    write_images(dog, tmp_path / "other", 4, seed=3, size=SIZE)
    assert digests(tmp_path / "set") == digests(tmp_path / "other")
    assert run(*GENERATE, "--out", "set", "--seed", 3) == 0
    assert capsys.readouterr().out == "set: 0 images written, 4 there already; the set is complete\n"
    assert run(*GENERATE) == 0
    assert (tmp_path / "dog-images" / "records" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ((*GENERATE, "--shard", "5"), "--shard: is for stored poses; expected none with --images"),
        ((*GENERATE, "--arrays", "p2d,o,p3d"), "--arrays: is for stored poses"),
        ((*GENERATE[:-1], "4097"), "size: is 4097; expected"),
        ((*GENERATE[:-1], "big"), "--size"),
        ((*GENERATE, "--backgrounds", "nowhere"), "nowhere: cannot be read"),
        ((*GENERATE, "--out", "nowhere/set"), "nowhere/set: cannot be found"),
        (("generate", "--skeleton", "dog", "--n", "4", "--size", "64"), "--size: is for images; expected --images"),
    ],
    ids=["shard", "arrays", "size", "size text", "backgrounds", "out", "size without images"],
)
def test_wrong_arguments_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: tuple, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*args) == 2
    told = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error:")]
    assert len(told) == 1
    assert line in told[0]
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_what_the_same_command_goes_on_from(tmp_path: Path) -> None:
    """An interrupted process exits with 130; going on gives the bytes of a run in one go."""
    args = [sys.executable, "-m", "posesynth", *(str(arg) for arg in GENERATE), "--n", "700", "--out", "set"]
    process = subprocess.Popen(args, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 100
    while not list(tmp_path.glob("set/records/0*.json")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "stopped; the same command goes on from what is in set" in told
    assert not (tmp_path / "set" / "records" / "manifest.json").exists()
    assert not list((tmp_path / "set").rglob("*.partial"))
    done = subprocess.run(args, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "there already" in done.stdout
    dog = load_skeleton("dog")
    write_images(dog, tmp_path / "one", 700, size=SIZE)
    assert digests(tmp_path / "set") == digests(tmp_path / "one")
