"""What holds for the reader of every 3D benchmark; each format subclasses it and writes a small set in its own way."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lifter.data.benchmarks import Benchmark, load_benchmark
from posesynth.errors import InputError

Array = np.ndarray


@dataclass
class Poses:
    """A recording as a test wants it: mm in the camera's frame (x right, y down, z away), pixels, by joint name."""

    subject: str
    action: str
    camera: str
    positions: dict[str, Array]  # (T, 3)
    p2d: dict[str, Array]  # (T, 2)
    scored: Array  # (T,)


def refused(path: Path, *said: str, **options: object) -> str:
    """The one line in which a benchmark is refused."""
    with pytest.raises(InputError) as caught:
        load_benchmark(path, **options)  # type: ignore[arg-type]
    (line,) = caught.value.lines
    assert len(line) <= 300, line
    assert line.isprintable()
    for text in said:
        assert text in line, line
    return line


class BenchmarkContract:
    kind: str
    root: str
    exact: float = 1e-3  # mm and pixels: files hold float32, or metres
    flips: int = 60

    def write(self, folder: Path) -> Path:
        """Write a small set into `folder`; return the file that a user names."""
        raise NotImplementedError

    def expected(self) -> list[Poses]:
        """What was written, in the file's order."""
        raise NotImplementedError

    def read(self, folder: Path) -> Benchmark:
        return load_benchmark(self.write(folder))

    def test_gives_back_what_was_written(self, tmp_path: Path) -> None:
        found, expected = self.read(tmp_path), self.expected()
        assert (found.kind, found.root) == (self.kind, self.root)
        assert found.root in found.names
        assert len(set(found.names)) == len(found.names)
        assert len(found.recordings) == len(expected)
        for got, want in zip(found.recordings, expected, strict=True):
            assert (got.subject, got.action, got.camera) == (want.subject, want.action, want.camera)
            assert set(found.names) == set(want.positions) == set(want.p2d)
            for n, name in enumerate(found.names):
                np.testing.assert_allclose(got.positions[:, n], want.positions[name], atol=self.exact, err_msg=name)
                np.testing.assert_allclose(got.p2d[:, n], want.p2d[name], atol=self.exact, err_msg=name)
            np.testing.assert_array_equal(got.scored, want.scored)
            assert (got.positions.dtype, got.p2d.dtype, got.scored.dtype) == (np.float32, np.float32, np.bool_)
        assert len(found) == sum(len(want.scored) for want in expected)

    def test_a_folder_is_as_good_as_its_file(self, tmp_path: Path) -> None:
        path = self.write(tmp_path)
        if path.name.startswith("rhd"):
            pytest.skip("RHD's json has no name of its own")
        assert load_benchmark(path.parent).source == str(path)

    def test_people_stand_upright_in_front_of_the_camera(self, tmp_path: Path) -> None:
        """y points down, z away: what every reader has to bring its axes to."""
        for recording in self.read(tmp_path).recordings:
            assert (recording.positions[..., 2] > 0).all()
            across = np.corrcoef(recording.positions[..., 0].ravel(), recording.p2d[..., 0].ravel())[0, 1]
            down = np.corrcoef(recording.positions[..., 1].ravel(), recording.p2d[..., 1].ravel())[0, 1]
            assert min(across, down) > 0.9

    def test_damaged_files_are_refused_in_one_line_or_read(self, tmp_path: Path) -> None:
        path = self.write(tmp_path)
        whole = path.read_bytes()
        for cut in (0, 1, len(whole) // 3, len(whole) - 20):
            path.write_bytes(whole[:cut])
            refused(path)
        chance = random.Random(3)
        for _ in range(self.flips):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            path.write_bytes(bytes(data))
            lines: tuple[str, ...] = ()
            try:
                load_benchmark(path)
            except InputError as error:
                lines = error.lines
            assert len(lines) <= 1
            assert all(len(line) <= 300 for line in lines)
