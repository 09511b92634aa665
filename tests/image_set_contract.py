"""What holds for the reader of every image set; each format subclasses it and writes a small set in its own way."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lifter.data.images import ImageSet, load_image, load_image_set
from posesynth.errors import InputError


@dataclass
class Label:
    """One label as a test wants it: NaN where a joint is missing; `image` as the format names it."""

    image: str
    keypoints: np.ndarray
    visible: np.ndarray
    box: tuple[float, float, float, float]


def labels(images: Sequence[str], joints: int, hidden: bool) -> list[Label]:
    """A label for each image, some joints missing, some hidden where the format can tell."""
    rng = np.random.default_rng(5)
    found = []
    for n, image in enumerate(images):
        points = rng.integers(1, 60, (joints, 2)).astype(np.float64)
        lost = rng.uniform(size=joints) < 0.3
        lost[n % joints] = False
        points[lost] = np.nan
        seen = ~lost & ~((rng.uniform(size=joints) < 0.4) & hidden)
        found.append(Label(image, points, seen, (2.0, 3.0, 40.0, 50.0 + n)))
    return found


def refused(path: Path, *said: str) -> str:
    """The one line in which a set is refused."""
    with pytest.raises(InputError) as caught:
        load_image_set(path)
    (line,) = caught.value.lines
    assert len(line) <= 300
    assert line.isprintable()
    for text in said:
        assert text in line, line
    return line


@dataclass
class Form:
    kind: str = ""
    names: tuple[str, ...] = ()
    images: Sequence[str] = ("a.png", "b.png", "c.png")
    hidden: bool = True  # the format tells labelled but hidden joints
    missing: bool = True  # the format tells missing joints
    boxed: bool = False
    names_images: bool = True  # the label file names the images
    label_file: str = ""  # of the folder: what is damaged


class ImageSetContract:
    form: Form

    def write(self, folder: Path, given: list[Label]) -> Path:
        """Write the labels into `folder`; return what a user would name."""
        raise NotImplementedError

    def given(self) -> list[Label]:
        found = labels(self.form.images, len(self.form.names), self.form.hidden)
        if not self.form.missing:
            for label in found:
                label.keypoints = np.nan_to_num(label.keypoints, nan=7.0)
        return found

    def read(self, folder: Path) -> ImageSet:
        return load_image_set(self.write(folder, self.given()))

    def test_gives_back_what_was_written(self, tmp_path: Path) -> None:
        found, given = self.read(tmp_path), self.given()
        assert found.kind == self.form.kind
        assert found.names == self.form.names
        assert len(found.annotations) == len(given)
        for got, want in zip(found.annotations, given, strict=True):
            np.testing.assert_array_equal(got.keypoints, want.keypoints)
            np.testing.assert_array_equal(got.visible, want.visible)
            assert got.keypoints.dtype == np.float64
            assert got.visible.dtype == np.bool_
            assert got.box == (want.box if self.form.boxed else None)

    def test_a_missing_joint_is_nan_and_not_visible(self, tmp_path: Path) -> None:
        found = self.read(tmp_path)
        lost = np.isnan(found.keypoints)
        assert (lost[..., 0] == lost[..., 1]).all()
        assert lost.any() == self.form.missing
        assert not found.visible[lost.any(-1)].any()
        assert (found.keypoints[~lost] != 0).all()

    def test_images_that_are_not_there_are_counted_and_told_when_loaded(self, tmp_path: Path) -> None:
        found = self.read(tmp_path)
        assert found.missing() == found.images()
        with pytest.raises(InputError, match="No such file"):
            load_image(found.images()[0])
        for n, path in enumerate(found.images()[1:]):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8 + n, 6)).save(path)
        again = load_image_set(found.source)
        assert again.missing() == found.images()[:1]
        assert load_image(again.images()[1]).shape == (6, 8, 3)

    def test_images_lie_in_the_folder(self, tmp_path: Path) -> None:
        for path in self.read(tmp_path).images():
            assert Path(path).resolve().is_relative_to(tmp_path.resolve())

    @pytest.mark.parametrize("bad", ["../out.png", "/etc/out.png", "a/../../out.png", "..\\out.png", "C:\\out.png"])
    def test_an_image_outside_the_folder_is_refused(self, tmp_path: Path, bad: str) -> None:
        if not self.form.names_images:
            pytest.skip("the format names no images: they are counted")
        given = self.given()
        given[1].image = bad
        refused(self.write(tmp_path, given), "leaves the set's folder")

    def test_a_set_without_a_labelled_joint_is_refused(self, tmp_path: Path) -> None:
        if not self.form.missing:
            pytest.skip("the format has no missing joints")
        given = self.given()
        for label in given:
            label.keypoints[:] = np.nan
            label.visible[:] = False
        path = self.write(tmp_path, given)
        with pytest.raises(InputError) as caught:
            load_image_set(path)
        assert len(caught.value.lines) == 1

    def test_damaged_label_files_are_refused_in_one_line_or_read(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self.given())
        file = tmp_path / self.form.label_file
        whole = file.read_bytes()
        for cut in (0, 1, len(whole) // 3, len(whole) - 20):
            file.write_bytes(whole[:cut])
            refused(path)
        chance = random.Random(3)
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            file.write_bytes(bytes(data))
            lines: tuple[str, ...] = ()
            try:
                load_image_set(path)
            except InputError as error:
                lines = error.lines
            assert len(lines) <= 1
            assert all(len(line) <= 300 for line in lines)
