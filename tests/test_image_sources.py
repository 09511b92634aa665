"""Where training images come from: each is where its index says, and those that are held out are never trained on."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("PIL")

from image_folders import QUADRUPED, TINY, annotated, source  # noqa: E402
from PIL import Image  # noqa: E402

import posesynth  # noqa: E402
from lifter.image_config import STAGES  # noqa: E402
from lifter.images import sources as image_sources  # noqa: E402
from lifter.images.sources import StoredImages  # noqa: E402
from lifter.images.training import describe_images  # noqa: E402
from posesynth.errors import InputError  # noqa: E402


def test_rendered_images_do_not_depend_on_where_one_begins():
    for values in ({}, {"labels": 3}):
        every = list(source(**values).batches(0, 4, 2))
        later = list(source(**values).batches(2, 4, 2))
        for one, other in zip(every[2:], later, strict=True):
            assert torch.equal(one.image, other.image)
            torch.testing.assert_close(one.landmarks, other.landmarks, equal_nan=True)
            assert one.start == other.start
        assert [batch.start for batch in every] == [0, 2, 4, 6]


@pytest.mark.parametrize("batch", [2, 4])
def test_rendering_several_batches_at_once_and_on_two_ranks_gives_the_same_images(batch, monkeypatch):
    """Slabs of two batches of 2, the last cut short; of 4, a batch each."""
    alone = list(source().batches(0, 5, batch))
    monkeypatch.setattr(image_sources, "BLOCK", 4)
    for first in (0, 3):
        again = list(source().batches(first, 5, batch))
        assert [(one.start, one.image.tolist()) for one in again] == [
            (one.start, one.image.tolist()) for one in alone[first:]
        ]
    halves = []
    for mine in (range(batch // 2), range(batch // 2, batch)):
        monkeypatch.setattr(image_sources, "_own_share", lambda _, mine=mine: mine)
        halves.append(list(source().batches(1, 5, batch)))
    for one, (left, right) in zip(alone[1:], zip(*halves, strict=True), strict=True):
        assert torch.equal(one.image, torch.cat([left.image, right.image]))
        assert (left.start, right.start) == (one.start, one.start + batch // 2)


def test_few_labels_are_used_over_and_over_each_once_an_epoch():
    batches = source(labels=4).batches(0, 4, 2)
    images = torch.cat([batch.image for batch in batches])
    first = {image.numpy().tobytes() for image in images[:4]}
    assert len(first) == 4
    assert {image.numpy().tobytes() for image in images[4:]} == first
    new = torch.cat([batch.image for batch in source().batches(0, 4, 2)])
    assert first == {image.numpy().tobytes() for image in new[:4]}


def test_photographs_stand_behind_rendered_bodies_and_other_ones_are_other_images(tmp_path):
    for name, colour in (("red", (255, 0, 0)), ("green", (0, 255, 0))):
        (tmp_path / name).mkdir()
        Image.new("RGB", (80, 80), colour).save(tmp_path / name / "a.png")
    red, green = (source(backgrounds=str(tmp_path / name)) for name in ("red", "green"))
    assert red.facts["backgrounds_digest"] != green.facts["backgrounds_digest"]
    assert "backgrounds_digest" not in source().facts
    shown = [next(given.batches(0, 1, 8)).image.double().mean((0, 1, 2)) for given in (red, green)]
    assert shown[0][0] > shown[0][1] + 30
    assert shown[1][1] > shown[1][0] + 30


def test_backgrounds_are_for_rendered_images_only(tmp_path):
    with pytest.raises(InputError, match="backgrounds: are for images: synthetic"):
        TINY.with_values(images=str(tmp_path), backgrounds=str(tmp_path))


def test_few_labels_are_rendered_once_and_new_images_many_at_a_time(monkeypatch):
    asked: list[tuple[int, int, int | None]] = []
    render = posesynth.render.render

    def counted(
        skeleton: Any, seed: int, first: int, stop: int, size: int, behind: Any, *, threads: int | None = None
    ) -> Any:
        asked.append((first, stop, threads))
        return render(skeleton, seed, first, stop, size, behind, threads=threads)

    monkeypatch.setattr(posesynth.render, "render", counted)
    assert len(list(source(labels=3).batches(0, 10, 2))) == 10
    assert asked == [(0, 3, None)]
    asked.clear()
    assert list(source(labels=3).batches(10, 10, 2)) == []
    assert asked == []
    list(source().batches(0, 3, 2))
    assert [(first, stop) for first, stop, _ in asked] == [(0, 6)]


def test_more_labels_than_memory_holds_are_refused():
    assert source(labels=10**5).name == "synthetic"
    with pytest.raises(InputError, match="labels: 1000000 images of 64 pixels take 12288000000 bytes"):
        source(labels=10**6)


def test_a_joint_outside_the_image_is_unknown():
    images = source().validation(64)
    known = images.landmarks[~torch.isnan(images.landmarks)]
    assert 0 <= known.min() < known.max() <= 1
    assert bool(torch.isnan(images.landmarks).any())
    assert bool((torch.isnan(images.landmarks[..., 0]) == torch.isnan(images.landmarks[..., 1])).all())


def colours(images: torch.Tensor) -> list[int]:
    return [int(image[32, 32, 0]) for image in images]


def test_a_folder_is_used_once_an_epoch_in_a_new_order_and_some_of_it_is_held_out(pictures):
    stored = StoredImages(QUADRUPED, TINY.with_values(images=str(pictures)))
    held_out = set(colours(stored.validation(100).image))
    assert 1 <= len(held_out) <= 5
    trained = 20 - len(held_out)
    used = colours(torch.cat([batch.image for batch in stored.batches(0, trained, 2)]))
    assert sorted(used[:trained]) == sorted(used[trained:])
    assert used[:trained] != used[trained:]
    assert set(used) | held_out == {10 * number for number in range(20)}
    assert not set(used) & held_out


def sides(given: StoredImages) -> tuple[set[str], set[str]]:
    """The images that are validated on, and those that are trained on."""
    held_out, trained = given._held_out, given._trained
    return tuple({given._set.annotations[n].image for n in part} for part in (held_out, trained))  # type: ignore[return-value]


def test_no_image_is_on_both_sides_however_many_animals_it_shows(tmp_path):
    path = annotated(tmp_path, np.random.default_rng(0), images=30, each=3)
    held_out, trained = sides(StoredImages(QUADRUPED, TINY.with_values(images=str(path))))
    assert held_out
    assert trained
    assert not held_out & trained
    assert len(held_out | trained) == 30


def test_what_is_held_out_does_not_depend_on_the_seed_the_stage_or_where_the_set_lies(tmp_path):
    config = TINY.with_values(images=str(annotated(tmp_path / "a", np.random.default_rng(0), images=30)))
    held_out, _ = sides(StoredImages(QUADRUPED, config))
    for values in ({"seed": 1}, {"seed": 2}, {"stage": "nms"}):
        assert sides(StoredImages(QUADRUPED, config.with_values(**values)))[0] == held_out
    moved = Path(shutil.copytree(tmp_path / "a", tmp_path / "b")) / "labels.json"
    there, _ = sides(StoredImages(QUADRUPED, config.with_values(images=str(moved))))
    assert {Path(path).name for path in there} == {Path(path).name for path in held_out}


@pytest.mark.parametrize("names", [("0", "1"), ("7", "8"), ("3", "12")])
def test_of_two_images_one_is_held_out_and_of_one_none_can_be(names, tmp_path):
    for name in names:
        Image.new("RGB", (70, 70)).save(tmp_path / f"{name}.png")
    assert [len(side) for side in sides(StoredImages(QUADRUPED, TINY.with_values(images=str(tmp_path))))] == [1, 1]
    (tmp_path / f"{names[0]}.png").unlink()
    with pytest.raises(InputError, match="1 images of it are on disk; expected at least 2"):
        StoredImages(QUADRUPED, TINY.with_values(images=str(tmp_path)))


def test_joints_of_an_annotated_set_lie_where_its_crops_show_them(tmp_path):
    path = annotated(tmp_path, np.random.default_rng(0), box=[20, 20, 80, 80])
    config = TINY.with_values(stage="landmarks", images=str(path), margin=0.0)
    given = StoredImages(QUADRUPED, config).validation(100)
    head = QUADRUPED.joints.index("head")
    for image, points, body in zip(given.image, given.landmarks, given.body, strict=True):
        bright = image.float().sum(-1)
        y, x = np.unravel_index(int(bright.argmax()), bright.shape)
        assert np.hypot(*(64 * points[head].numpy() - [x + 0.5, y + 0.5])) < 2
        assert float(body) == pytest.approx(1)
        assert torch.isnan(points[QUADRUPED.joints.index("tail")]).all()


def test_without_boxes_all_stages_are_cropped_around_all_labelled_joints(tmp_path):
    """The set's own joint `antler`, which the skeleton lacks, is far to the right: it is inside the crop."""
    path = annotated(tmp_path, np.random.default_rng(0))
    document = json.loads(path.read_text())
    document["categories"][0]["keypoints"].append("antler")
    for label in document["annotations"]:
        label["keypoints"] += [128.0, 50.0, 2]
    path.write_text(json.dumps(document))
    config = TINY.with_values(images=str(path))
    first = StoredImages(QUADRUPED, config).validation(5)
    for stage in STAGES[1:]:
        assert torch.equal(StoredImages(QUADRUPED, config.with_values(stage=stage)).validation(5).image, first.image)
    last = StoredImages(QUADRUPED, config.with_values(stage="nms", margin=0.0)).validation(5)
    known = last.landmarks[..., 0].nan_to_num()
    assert 0.5 < float(known.max()) < 0.7  # antler's is 1


def test_a_bad_box_is_refused_with_its_image(tmp_path):
    path = annotated(tmp_path, np.random.default_rng(0), box=[500, 20, 80, 80])
    with pytest.raises(InputError) as caught:
        StoredImages(QUADRUPED, TINY.with_values(images=str(path))).validation(5)
    (line,) = caught.value.lines
    assert re.search(r"/\d+\.png: box: .* lies beside the image", line)


def test_of_many_folders_whole_ones_are_held_out(tmp_path):
    """Neighbouring frames of a video are nearly the same image."""
    for folder in range(12):
        (tmp_path / f"video{folder:02}").mkdir()
        for frame in range(3):
            Image.new("RGB", (8, 8)).save(tmp_path / f"video{folder:02}" / f"{frame}.png")
    images = StoredImages(QUADRUPED, TINY.with_values(images=str(tmp_path)))
    where = [Path(annotation.image).parent.name for annotation in images._set.annotations]
    held_out, trained = ({where[place] for place in places} for places in (images._held_out, images._trained))
    assert held_out
    assert trained
    assert not held_out & trained


def test_a_keypoint_map_says_which_joint_of_a_set_is_which(tmp_path):
    labels = annotated(tmp_path / "set", np.random.default_rng(0))
    (tmp_path / "map.yaml").write_text("joints: {tail: head}\nabsent: [left_hip]\n")
    values = {"stage": "landmarks", "images": str(labels)}
    plain_, mapped = (
        StoredImages(QUADRUPED, TINY.with_values(**values, keypoint_map=path))
        for path in ("", str(tmp_path / "map.yaml"))
    )
    assert set(plain_.labelled) ^ set(mapped.labelled) == {"tail", "left_hip", "head"}
    assert plain_.facts != mapped.facts
    assert "tail             head" in mapped.describe()[0]


def test_a_keypoint_map_is_for_labels_of_a_set():
    with pytest.raises(InputError, match="keypoint_map: is for an annotated set"):
        TINY.with_values(stage="landmarks", keypoint_map="map.yaml")


def test_what_is_not_on_disk_is_counted(tmp_path):
    labels = annotated(tmp_path / "set", np.random.default_rng(0))
    (tmp_path / "set" / "3.png").unlink()
    said = StoredImages(QUADRUPED, TINY.with_values(stage="landmarks", images=str(labels))).describe()
    assert said[1] == "not used, as their images are not on disk: 1 annotations"
    assert re.fullmatch(r".*labels\.json: \d+ annotations to train on, \d+ held out", said[2])


@pytest.mark.parametrize("side", ["_held_out", "_trained"])
def test_images_of_which_no_joint_is_known_are_refused(side, tmp_path, monkeypatch):
    labels = annotated(tmp_path / "set", np.random.default_rng(0))
    config = TINY.with_values(stage="landmarks", images=str(labels))
    images = StoredImages(QUADRUPED, config)
    points, visible, matched = image_sources.onto_skeleton(images._set, QUADRUPED)
    points[getattr(images, side)] = np.nan
    monkeypatch.setattr(image_sources, "onto_skeleton", lambda *_: (points, visible, matched))
    with pytest.raises(InputError, match=r"no joint is known in the \d+ annotations"):
        describe_images(config)
