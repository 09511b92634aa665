"""Image files: what becomes of every kind of pixel, what is refused in one line, and crops with their affine maps."""

import io
import os
import random
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lifter.data.images import crop, load_image
from lifter.data.images.picture import placed
from posesynth.errors import InputError
from posesynth.pillow import MAX_PIXELS

RED, GREEN, BLUE = (200, 10, 10), (10, 200, 10), (10, 10, 200)
UPRIGHT = np.array([[RED, GREEN, BLUE], [RED, RED, GREEN]], np.uint8).repeat(8, 0).repeat(8, 1)  # no symmetry

# EXIF orientation -> how the stored pixels lie.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT, 1),
    7: UPRIGHT[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, -1),
}


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def refused(path: Path, *said: str) -> str:
    with pytest.raises(InputError) as caught:
        load_image(path)
    (line,) = caught.value.lines
    assert len(line) <= 300
    assert line.isprintable()
    assert line.startswith((str(path)[:90], "..."))
    for text in said:
        assert text in line, line
    return line


# What is read.


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_every_exif_orientation_gives_the_same_picture(tmp_path: Path, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    options = {"quality": 100, "subsampling": 0} if ending == "jpg" else {"lossless": True} if ending == "webp" else {}
    found = load_image(saved(tmp_path / f"x.{ending}", stored, exif=exif, **options))
    assert found.shape == UPRIGHT.shape
    assert abs(found.astype(int) - UPRIGHT).max() <= 3


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    for name in ("x.png", "x.tif"):
        found = load_image(saved(tmp_path / name, Image.fromarray(values)))
        np.testing.assert_array_equal(found[0, :, 0], [0, 0, 1, 128, 255])
        assert (found == found[..., :1]).all()


def test_sixteen_bits_of_colour_keep_their_upper_eight(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0xFFFF, 0x0000, 0x8000)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    np.testing.assert_array_equal(load_image(tmp_path / "x.png"), [[[0x12, 0x56, 0x9A], [0xFF, 0, 0x80]]])


@pytest.mark.parametrize(
    ("mode", "colour", "expected", "ending"),
    [
        ("1", 1, (255, 255, 255), "png"),
        ("L", 77, (77, 77, 77), "png"),
        ("LA", (50, 0), (255, 255, 255), "png"),
        ("LA", (50, 255), (50, 50, 50), "png"),
        ("RGB", RED, RED, "bmp"),
        ("RGBA", (*RED, 0), (255, 255, 255), "png"),
        ("RGBA", (*RED, 255), RED, "webp"),
        ("RGBA", (100, 100, 100, 51), (224, 224, 224), "png"),  # 100 x 0.2 + 255 x 0.8
        ("CMYK", (255, 0, 0, 0), (0, 255, 255), "tif"),
        ("YCbCr", (128, 128, 128), (128, 128, 128), "jpg"),
    ],
)
def test_every_mode_becomes_rgb_over_white(
    tmp_path: Path, mode: str, colour: object, expected: tuple[int, int, int], ending: str
) -> None:
    options = {"lossless": True} if ending == "webp" else {}
    found = load_image(saved(tmp_path / f"x.{ending}", Image.new(mode, (3, 2), colour), **options))
    assert found.dtype == np.uint8
    assert found.shape == (2, 3, 3)
    assert abs(found.astype(int) - expected).max() <= 1


def test_a_palette_with_a_transparent_colour_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    found = load_image(saved(tmp_path / "x.png", image, transparency=1))
    np.testing.assert_array_equal(found, [[RED, (255, 255, 255)]])


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    found = load_image(saved(tmp_path / "x.jpg", Image.new("CMYK", (16, 16), (0, 0, 0, 255)), quality=100))
    assert found.max() < 10  # all black ink


def test_the_first_frame_of_several_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN)]
    found = load_image(saved(tmp_path / "x.gif", frames[0], save_all=True, append_images=frames[1:]))
    assert abs(found.astype(int) - RED).max() <= 8


@pytest.mark.parametrize("size", [(1, 1), (10_000, 1), (1, 10_000)])
def test_any_shape_is_read(tmp_path: Path, size: tuple[int, int]) -> None:
    assert load_image(saved(tmp_path / "x.png", Image.new("RGB", size))).shape == (size[1], size[0], 3)


def test_the_ending_does_not_matter(tmp_path: Path) -> None:
    assert load_image(saved(tmp_path / "x.jpg", Image.new("RGB", (2, 2)), format="PNG")).shape == (2, 2, 3)


def test_the_result_can_be_written_to(tmp_path: Path) -> None:
    found = load_image(saved(tmp_path / "x.png", Image.new("RGB", (2, 2))))
    found[0, 0] = 9
    assert found.flags.c_contiguous


def test_a_16_bit_pgm_keeps_its_upper_8(tmp_path: Path) -> None:
    (tmp_path / "x.pgm").write_bytes(b"P5 2 1 65535\n" + bytes([18, 52, 255, 255]))
    assert load_image(tmp_path / "x.pgm")[0, :, 0].tolist() == [18, 255]


def test_reading_in_many_threads_leaves_the_warnings_of_others_alone(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", Image.new("P", (2, 2)))
    load_image(path)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(load_image, [path] * 400))
    assert warnings.filters == before


# What is refused.


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"this is not an image", "is no image"),
        (b"%PDF-1.4\n", "is no image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no image"),
        (b"\x89PNG\r\n\x1a\n", ""),
        (b"\xff\xd8\xff", ""),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    refused(tmp_path / "x.jpg", said)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.png", "No such file")
    refused(tmp_path, "no regular file")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "no regular file")
    with pytest.raises(InputError, match="cannot be read"):
        load_image("a\0b.png")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "gif", "bmp"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    data = saved(tmp_path / f"x.{ending}", noise).read_bytes()
    (tmp_path / f"x.{ending}").write_bytes(data[: int(len(data) * share)])
    refused(tmp_path / f"x.{ending}")


@pytest.mark.parametrize("size", [(12_000, 12_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, size: tuple[int, int]) -> None:
    image = io.BytesIO()
    Image.new("1", (8, 8)).save(image, "PNG")
    data = bytearray(image.getvalue())
    data[16:24] = struct.pack(">II", *size)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "x.png").write_bytes(data)
    refused(tmp_path / "x.png", f"{MAX_PIXELS}")


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_without_a_range_are_refused(tmp_path: Path, kind: type) -> None:
    refused(saved(tmp_path / "x.tif", Image.fromarray(np.ones((4, 4), kind))), "range")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "gif", "bmp", "ppm"])
def test_flipped_bytes_are_read_or_refused_in_one_line(tmp_path: Path, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 16, 3), np.uint8))
    options = {"exif": exif} if ending in ("jpg", "png", "webp", "tif") else {}
    path = saved(tmp_path / f"x.{ending}", noise, **options)
    whole = path.read_bytes()
    chance = random.Random(1)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data))
        lines: tuple[str, ...] = ()
        try:
            assert load_image(path).shape[2] == 3
        except InputError as error:
            lines = error.lines
        assert len(lines) <= 1


# Crops.


def ramp(height: int = 60, width: int = 80) -> np.ndarray:
    """Red is 3 x of a pixel's centre, green 3 y."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    image = np.zeros((height, width, 3))
    image[..., 0], image[..., 1] = np.minimum(3 * x, 255), np.minimum(3 * y, 255)[:, None]
    return image.astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(st.floats(10, 30), st.floats(10, 30), st.floats(5, 25), st.floats(5, 25), st.integers(8, 64), st.floats(0, 0.2))
def test_a_crop_shows_what_its_affine_says(x: float, y: float, w: float, h: float, size: int, margin: float) -> None:
    found, affine = crop(ramp(), (x, y, w, h), size, margin)
    assert found.shape == (size, size, 3)
    centres = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)
    points = np.linalg.solve(affine[:, :2], (centres - affine[:, 2]).reshape(-1, 2).T).T.reshape(size, size, 2)
    inside = (points > 2).all(-1) & (points < (78, 58)).all(-1)
    # A ramp stays one under any averaging, so each new pixel has the value at its own centre.
    np.testing.assert_allclose(found[inside][:, :2], 3 * points[inside], atol=3.1)


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(60, 90), st.floats(60, 90), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_the_box_lies_in_the_middle_of_its_crop(x: float, y: float, w: float, h: float, margin: float) -> None:
    _, affine = crop(ramp(), (x, y, w, h), 100, margin)
    corners = placed(affine, [(x, y), (x + w, y + h), (x + w / 2, y + h / 2)])
    np.testing.assert_allclose(corners[2], 50, atol=1e-6)
    assert (corners[1] - corners[0]).max() == pytest.approx(100 / (1 + 2 * margin))
    assert np.isnan(placed(affine, [np.nan, 1.0])).all()


def test_the_whole_image_at_its_size_is_itself() -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    found, affine = crop(image, (0, 0, 32, 32), 32, 0)
    np.testing.assert_array_equal(found, image)
    np.testing.assert_array_equal(affine, [[1, 0, 0], [0, 1, 0]])


def test_what_lies_beyond_the_image_is_black() -> None:
    found, _ = crop(np.full((20, 20, 3), 255, np.uint8), (-20, 0, 40, 40), 40, 0)
    assert (found[:, :19] == 0).all()
    assert (found[1:19, 21:] == 255).all()


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    found, _ = crop(stripes, (0, 0, 256, 256), 32, 0)
    assert abs(found[4:-4, 4:-4].astype(int) - 127).max() <= 2


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 5),
        (0, 0, 5, -1),
        (np.nan, 0, 5, 5),
        (0, 0, np.inf, 5),
        (100, 0, 9, 9),
        (0, -50, 9, 9),
        (0, 0, 1e6, 1e6),
    ],
)
def test_a_box_that_shows_nothing_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="box"):
        crop(ramp(), box, 16, 0)


def test_other_arguments_are_checked() -> None:
    for image, size, margin in ((ramp()[..., 0], 8, 0), (ramp() / 2, 8, 0), (ramp(), 0, 0), (ramp(), 8, -1)):
        with pytest.raises(InputError):
            crop(image, (0, 0, 9, 9), size, margin)
