"""Published data sets: miniature copies of each layout are read with their splits, points and protocols."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from uld_explorer.analysis.protocols import get_protocol, normaliser
from uld_explorer.data.published.cat_heads import KEPT
from uld_explorer.data.published.ls3d import balanced_yaw
from uld_explorer.data.published.sets import PUBLISHED, iter_open_published
from uld_explorer.data.published.torch7 import read_tensor
from uld_explorer.events import drain
from uld_explorer.types import ImageSet, UserError

FIVE = np.array([[10, 12], [30, 12], [20, 22], [12, 30], [28, 30]], float)


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 40, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def make_mafl(root: Path) -> None:
    names = [f"{i:06d}.jpg" for i in range(1, 10)]
    rows = []
    for i, name in enumerate(names):
        picture(root / "Img/img_align_celeba" / name, i)
        rows.append(f"{name}  " + " ".join(str(int(v) + i) for v in FIVE.ravel()))
    (root / "Anno").mkdir()
    columns = [f"{name}_{axis}" for name in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"]
    head = ["9", " ".join(columns)]
    (root / "Anno/list_landmarks_align_celeba.txt").write_text("\n".join(head + rows) + "\n")
    (root / "MAFL").mkdir()
    (root / "MAFL/training.txt").write_text("\n".join(names[:6]) + "\n")
    (root / "MAFL/testing.txt").write_text("\n".join([*names[6:], "999999.jpg"]) + "\n")


def make_aflw(root: Path) -> None:
    start = 0
    for word, count in (("train", 6), ("test", 3)):
        names = [f"{word}-{i}.jpg" for i in range(count)]
        for i, name in enumerate(names):
            picture(root / "output" / name, start + i)
        start += count
        (root / f"aflw_{word}_images.txt").write_text("\n".join(names))
        row_column = np.stack([FIVE[:, ::-1] + i for i in range(count)])
        savemat(root / f"aflw_{word}_keypoints.mat", {"gt": row_column, "hw": np.full((count, 2), [48, 40])})


def make_catheads(root: Path) -> None:
    nine = np.concatenate([FIVE, FIVE[:4] + 5])
    for i in range(12):
        path = root / f"CAT_0{i % 2}" / f"0000000{i}_000.jpg"
        picture(path, i)
        numbers = " ".join(str(int(v)) for v in (nine + i).ravel())
        path.with_name(path.name + ".cat").write_text(f"9 {numbers} ")


def write_t7(path: Path, values: np.ndarray) -> None:
    """As torch.save writes a FloatTensor: column-major strides, to prove that strides are followed."""
    rows, columns = values.shape

    def name(text: str) -> bytes:
        return struct.pack("<i", len(text)) + text.encode()

    head = struct.pack("<ii", 4, 1) + name("V 1") + name("torch.FloatTensor")
    shape = struct.pack("<i2q2qq", 2, rows, columns, 1, rows, 1)
    storage = struct.pack("<ii", 4, 2) + name("V 1") + name("torch.FloatStorage") + struct.pack("<q", values.size)
    path.write_bytes(head + shape + storage + values.T.astype("<f4").tobytes())


def sixty_eight(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(5, 35, (68, 2)).round(2)


def make_ls3d(root: Path) -> None:
    for i in range(6):
        path = root / "300W_LP/AFW" / f"AFW_{i}.jpg"
        picture(path, i)
        pose = np.array([[0.1, np.radians(10 * i), 0.0, 0, 0, 0, 1]])
        savemat(path.with_suffix(".mat"), {"pt3d_68": np.vstack([sixty_eight(i).T, np.zeros(68)]), "Pose_Para": pose})
    picture(root / "300W_LP/AFW_Flip/AFW_0.jpg", 50)
    savemat(root / "300W_LP/AFW_Flip/AFW_0.mat", {"pt2d": sixty_eight(0).T})
    savemat(root / "300W_LP/AFW/broken_twin.mat", {"pt2d": sixty_eight(0).T})  # without a picture
    for i in range(1, 5):
        path = root / "LS3D-W-balanced-20-03-2017/new_dataset" / f"{i}.jpg"
        picture(path, 100 + i)
        write_t7(path.with_suffix(".t7"), sixty_eight(i))


MAKERS = {"mafl": make_mafl, "aflw": make_aflw, "catheads": make_catheads, "ls3d": make_ls3d}


def opened(name: str, root: Path, limit: int | None = None) -> tuple[ImageSet, ImageSet]:
    return drain(iter_open_published(name, root, limit))


@pytest.fixture(params=list(PUBLISHED))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_each_layout_is_read_and_can_be_measured(name: str, tmp_path: Path, data_dir: Path) -> None:
    MAKERS[name](tmp_path)
    training, test = opened(name, tmp_path)
    assert not set(training.ids) & set(test.ids), "no picture is in both parts"
    protocol = get_protocol(PUBLISHED[name].protocol)
    for part in (training, test):
        assert part.annotations is not None and part.annotations.annotated.all()
        assert np.isfinite(normaliser(part.annotations, protocol.normaliser)).all()


def test_at_most_so_many_of_each_part(name: str, tmp_path: Path, data_dir: Path) -> None:
    MAKERS[name](tmp_path)
    training, test = opened(name, tmp_path, 2)
    assert len(training) == 2 and 1 <= len(test) <= 2


def test_another_folder_is_refused_with_the_layout(name: str, tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(UserError, match="is read from a folder with:\n"):
        opened(name, tmp_path / "nowhere")
    with pytest.raises(UserError, match="xpected"):
        opened(name, tmp_path)


def test_mafl_by_hand(tmp_path: Path, data_dir: Path) -> None:
    make_mafl(tmp_path)
    training, test = opened("mafl", tmp_path)
    assert (len(training), len(test)) == (6, 3), "a listed picture that is not there is left out"
    assert test.annotations is not None and test.annotations.iod == (0, 1)
    np.testing.assert_array_equal(test.annotations.xy[0], FIVE + 6)
    np.testing.assert_allclose(normaliser(test.annotations, "iod"), 20)


def test_aflw_rows_and_columns_become_x_and_y(tmp_path: Path, data_dir: Path) -> None:
    make_aflw(tmp_path)
    training, test = opened("aflw", tmp_path)
    assert (len(training), len(test)) == (6, 3) and training.annotations is not None
    np.testing.assert_array_equal(training.annotations.xy[2], FIVE + 2)
    savemat(tmp_path / "aflw_test_keypoints.mat", {"gt": np.zeros((3, 4, 2))})
    with pytest.raises(UserError, match=r"must be \(3, 5, 2\)"):
        opened("aflw", tmp_path)


def test_cat_heads_have_seven_points_and_a_split_that_stays(tmp_path: Path, data_dir: Path) -> None:
    make_catheads(tmp_path)
    training, test = opened("catheads", tmp_path)
    assert len(training) + len(test) == 12 and len(test) == 2
    assert training.annotations is not None and len(training.annotations.names) == len(KEPT) == 7
    assert not any("tip" in name for name in training.annotations.names)
    assert training.names == opened("catheads", tmp_path)[0].names
    (tmp_path / "train.txt").write_text("CAT_00/00000000_000.jpg\n")
    (tmp_path / "test.txt").write_text("CAT_01/00000001_000.jpg\n")
    training, test = opened("catheads", tmp_path)
    assert training.names == ("CAT_00/00000000_000.jpg",) and test.names == ("CAT_01/00000001_000.jpg",)
    (tmp_path / "test.txt").write_text("00000001_000.jpg\n")
    with pytest.raises(UserError, match="names no picture"):
        opened("catheads", tmp_path)
    (tmp_path / "CAT_00/00000000_000.jpg.cat").write_text("9 1 2 3")
    with pytest.raises(UserError, match="does not hold nine points"):
        opened("catheads", tmp_path)


def test_ls3d_has_points_and_yaw_of_both_kinds_of_file(tmp_path: Path, data_dir: Path) -> None:
    make_ls3d(tmp_path)
    training, test = opened("ls3d", tmp_path)
    assert (len(training), len(test)) == (6, 4), "neither mirrored copies nor annotations without a picture"
    assert training.annotations is not None and training.annotations.yaw is not None
    np.testing.assert_allclose(training.annotations.xy[3], sixty_eight(3))
    np.testing.assert_allclose(training.annotations.yaw, 10 * np.arange(6), atol=1e-6)
    assert test.annotations is not None and test.annotations.yaw is not None
    np.testing.assert_allclose(test.annotations.xy[0], sixty_eight(1), rtol=1e-6)
    np.testing.assert_array_equal(np.abs(test.annotations.yaw), [15, 45, 75, 15])


def test_the_side_of_a_balanced_picture_is_told_by_the_nose() -> None:
    xy = np.zeros((68, 2))
    xy[0], xy[16], xy[30] = (10, 0), (30, 0), (27, 0)
    assert balanced_yaw("3", xy) == 75 and balanced_yaw("2", -xy) == -45 and balanced_yaw("face", xy) is None


@pytest.mark.parametrize("damage", [b"", b"\x04\0\0\0", b"\x02\0\0\0" * 20])
def test_a_damaged_tensor_is_refused(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "1.t7"
    path.write_bytes(damage)
    with pytest.raises(UserError, match="is not a Torch7 tensor"):
        read_tensor(path)


def test_a_tensor_that_reaches_outside_its_storage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1.t7"
    write_t7(path, np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(read_tensor(path), np.arange(6.0).reshape(3, 2))
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<q", 3))
    data[at : at + 8] = struct.pack("<q", 300)
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="outside its storage"):
        read_tensor(path)
