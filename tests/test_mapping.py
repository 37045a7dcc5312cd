"""Maps of a run: positions for the right points, aligned over the rounds, other choices kept beside."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from uld_explorer import mapping
from uld_explorer.analysis.projection import align, in_polygons
from uld_explorer.events import drain
from uld_explorer.mapping import MapChoice, draw_map, iter_draw_maps, placed, rounds_of
from uld_explorer.runs import Run, create_run
from uld_explorer.types import Keypoints, PoseCodes, UserError

COUNT, M, D = 40, 3, 6


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of three rounds, of which each moves the descriptors a little; maps by PCA, which is fast."""
    monkeypatch.setattr(mapping, "umap_map", lambda x, seed, n, d, start=None: mapping.pca_map(x))
    run, rng = create_run(tmp_path), np.random.default_rng(0)
    base = rng.standard_normal((COUNT, M, D))
    for number in (1, 2, 3):
        descriptor = base + (3 - number) * 0.1 * rng.standard_normal((COUNT, M, D))
        arrays = {"rows": np.arange(COUNT), "points": np.zeros((COUNT, M, 2), np.float32)}
        arrays |= {"seen": np.ones((COUNT, M), bool), "descriptor": descriptor.astype(np.float16)}
        run.save_arrays(f"snapshot_{number}", arrays | {"codes": descriptor[:, 0].astype(np.float16)})
    image, label = np.divmod(np.arange(COUNT * M), M)
    run.save_keypoints(Keypoints(np.zeros((COUNT * M, 2)), base[image, label].astype(np.float32), label, image))
    run.save_poses(PoseCodes(base[:, 0].astype(np.float32), np.zeros(COUNT, int)))
    monkeypatch.setattr(mapping, "_chosen", lambda run: None)
    return run


def test_all_maps_are_drawn_and_told(run: Run) -> None:
    events = list(iter_draw_maps(run, 0))
    assert events[-1].step == events[-1].total == 4
    for what, count in (("keypoints", COUNT * M), ("poses", COUNT)):
        last = placed(run, what)
        assert last is not None and last.xy.shape == (count, 2)
        for number in (1, 2):
            before = placed(run, what, number)
            assert before is not None and before.xy.shape == (count, 2)
            np.testing.assert_array_equal(before.rows, last.rows)
    assert rounds_of(run) == [1, 2, 3] and run.snapshots() == [], "snapshots go when they are drawn"


def test_pca_is_there_before_umap_has_come(run: Run) -> None:
    stage = iter_draw_maps(run, 0)
    next(stage)
    first = placed(run, "poses")
    poses = run.poses()
    assert first is not None and poses is not None
    np.testing.assert_array_equal(first.xy, mapping.pca_map(poses.codes))


def test_points_stay_where_they_are_over_the_rounds(run: Run) -> None:
    """The maps of neighbouring rounds lie on each other, whatever way PCA turned them."""
    drain(iter_draw_maps(run, 0))
    maps = [placed(run, "poses", 1), placed(run, "poses", 2), placed(run, "poses")]
    size = maps[-1].xy.std()  # type: ignore[union-attr]
    for one, two in pairwise(maps):
        assert one is not None and two is not None
        assert np.linalg.norm(one.xy - two.xy, axis=1).mean() < size


def test_another_choice_is_drawn_once_and_kept_beside(run: Run) -> None:
    drain(iter_draw_maps(run, 0))
    choice = MapChoice("pca")
    first = draw_map(run, "poses", choice)
    file = next(run.folder.glob("results/pose_map_*.safetensors"))
    stamp = file.stat().st_mtime_ns
    np.testing.assert_array_equal(draw_map(run, "poses", choice).xy, first.xy)
    assert file.stat().st_mtime_ns == stamp
    found = placed(run, "poses", None, choice)
    assert found is not None and (found.xy == first.xy).all()


def test_a_run_without_anything_has_no_maps(tmp_path: Path) -> None:
    run = create_run(tmp_path)
    drain(iter_draw_maps(run, 0))
    assert placed(run, "keypoints") is None and rounds_of(run) == []
    with pytest.raises(UserError, match="when a run has finished"):
        draw_map(run, "keypoints", MapChoice())


@pytest.mark.parametrize("values", [("tsne", 5, 0.1), ("umap", 1, 0.1), ("umap", 500, 0.1), ("pca", 5, 2.0)])
def test_other_choices_are_refused(values: tuple[str, int, float]) -> None:
    with pytest.raises(UserError, match="UMAP or PCA"):
        MapChoice(*values)


def test_align_undoes_a_similarity_and_a_mirroring() -> None:
    rng = np.random.default_rng(1)
    onto = rng.standard_normal((30, 2))
    turn = np.array([[np.cos(2.0), -np.sin(2.0)], [np.sin(2.0), np.cos(2.0)]]) @ np.diag([1, -1])
    np.testing.assert_allclose(align(0.3 * onto @ turn + [5, -7], onto), onto, atol=1e-5)


def test_polygons_by_hand() -> None:
    xy = np.array([[0.5, 0.5], [1.5, 0.5], [2.5, 0.5], [0.1, 0.9]])
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    triangle = np.array([[2.0, 0], [3, 0], [2.5, 1]])
    assert in_polygons(xy, [square]).tolist() == [True, False, False, True]
    assert in_polygons(xy, [square, triangle]).tolist() == [True, False, True, True]
    assert not in_polygons(xy, []).any()


def test_polygons_agree_with_a_library() -> None:
    from scipy.spatial import Delaunay

    rng = np.random.default_rng(2)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
    corners = np.stack([np.cos(angle), np.sin(angle)], 1)  # convex, where triangulation tells the inside
    xy = rng.uniform(-1.2, 1.2, (2000, 2))
    np.testing.assert_array_equal(in_polygons(xy, [corners]), Delaunay(corners).find_simplex(xy) >= 0)
