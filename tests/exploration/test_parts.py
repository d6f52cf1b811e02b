"""What the page is made of, on features whose answer is known."""

import csv

import numpy as np
import pytest
from etils import epath
from PIL import Image

from exploration import (
    embedding_map,
    image_names,
    near_duplicates,
    neighbours,
    outliers,
    projector,
    tables,
    verdict,
    views,
)
from exploration.image_names import ImageNames
from exploration.scores import LayerScores, difference


def features(count: int = 300, size: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)


def test_neighbours_are_others_even_among_equal_images() -> None:
    rows = features(40)
    rows[7] = rows[3] = rows[5]
    cosines, found = neighbours.of_rows(rows, np.array([3, 5, 20]), 4)
    assert {5, 7} == set(found[0, :2].tolist())
    assert {3, 7} == set(found[1, :2].tolist())
    assert 20 not in found[2]
    plain = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = np.argsort(-(plain @ plain[20]))[1:5]
    np.testing.assert_array_equal(found[2], expected)
    assert np.all(np.diff(cosines, axis=1) <= 0)
    assert neighbours.of_rows(rows[:3], np.arange(3), 8)[1].shape == (3, 2)


def test_purity_is_the_share_of_the_same_label() -> None:
    labels = np.arange(60) % 3
    rows = features(60) * 0.01 + np.eye(3, 12, dtype=np.float32)[labels]
    assert neighbours.purity(rows, labels, np.arange(5)).tolist() == [1.0] * 5
    mixed = neighbours.purity(rows, np.arange(60) % 2, np.arange(60))
    assert mixed.mean() == pytest.approx(0.5, abs=0.1)


def find(rows: np.ndarray) -> near_duplicates.NearDuplicates:
    cosines, nearest = neighbours.of_rows(rows, np.arange(len(rows)), outliers.NEIGHBOURS)
    return near_duplicates.find(rows, cosines, nearest, seed=0)


@pytest.mark.parametrize("offset", [0, 3])
def test_planted_duplicates_are_found_and_nothing_else(offset: float) -> None:
    """Also where all images have much in common, as behind a ReLU."""
    rows = features(800, seed=2) + offset
    assert len(find(rows).pairs) <= 3, "by chance there is one"
    copies = rows[:20] + 0.01 * features(20, seed=3)
    found = find(np.concatenate([rows, copies]).astype(np.float32))
    expected = {(n, 800 + n) for n in range(20)}
    assert expected == set(map(tuple, found.pairs[:20].tolist()))
    assert len(found.pairs) <= 23
    assert found.cosines[0] >= found.cosines[-1] > found.threshold > found.median


def test_every_image_twice() -> None:
    rows = features(60)
    found = find(np.repeat(rows, 2, axis=0))
    assert {(2 * n, 2 * n + 1) for n in range(60)} <= set(map(tuple, found.pairs.tolist()))
    assert len(found.pairs) < 70


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_images_and_equal_ones(count: int) -> None:
    assert len(find(features(count)).pairs) <= count
    for value in (0, 1):
        assert not len(find(np.full((count, 4), value, np.float32)).pairs)


def test_the_loneliest_image_comes_first() -> None:
    rows = features() * 0.1 + 1
    rows[17] *= -1
    cosines, _ = neighbours.of_rows(rows, np.arange(len(rows)), outliers.NEIGHBOURS)
    order, means = outliers.rank(cosines)
    assert order[0] == 17
    assert means[0] < 0 < means[1]


def test_maps_keep_groups_together(monkeypatch) -> None:
    monkeypatch.setattr(embedding_map, "ITERATIONS", 250)
    groups = np.arange(90) % 3
    rows = features(90, 40) * 0.2 + 3 * np.eye(3, 40, dtype=np.float32)[groups]
    components, shares = embedding_map.principal_components(rows, seed=0)
    assert components.shape == (90, 40)
    assert shares[:2].sum() > 0.6
    places = embedding_map.t_sne(components, seed=0)
    for plane in (components[:, :2], places):
        centres = np.stack([plane[groups == n].mean(axis=0) for n in range(3)])
        spread = max(plane[groups == n].std() for n in range(3))
        gaps = np.linalg.norm(centres[:, None] - centres, axis=2)[np.triu_indices(3, 1)]
        assert gaps.min() > 0.5 * spread
    np.testing.assert_array_equal(places, embedding_map.t_sne(components, seed=0))


def test_maps_of_next_to_nothing(monkeypatch) -> None:
    monkeypatch.setattr(embedding_map, "ITERATIONS", 250)
    assert embedding_map.t_sne(np.zeros((3, 2), np.float32), 0) is None
    for rows in (np.ones((20, 6), np.float32), features(2)):
        components, shares = embedding_map.principal_components(rows, 0)
        assert np.isfinite(components).all()
        assert np.isfinite(shares).all()
    constant, _ = embedding_map.principal_components(np.ones((20, 6), np.float32), 0)
    assert np.isfinite(embedding_map.t_sne(constant, 0)).all()


def test_thumbnails_lie_at_their_places() -> None:
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    drawn = embedding_map.draw(np.array([[0.0, 0], [0, 1], [1, 0]]), {1: red})
    top_left = (embedding_map.MARGIN + 8, embedding_map.MARGIN + 8)
    assert drawn.getpixel(top_left) == (255, 0, 0)
    assert drawn.getpixel((embedding_map.SIDE - 60, 60)) == (255, 255, 255)


def scored(recognised: np.ndarray, rank: float = 20.0) -> dict[str, LayerScores]:
    return {"block4": LayerScores(64, rank, 0.5, recognised, None)}


def sentence(network: float, *untrained: float, count: int = 1000) -> str:
    draws = np.random.default_rng(3).random((1 + len(untrained), count))
    initial = [{"block4": draw < each} for draw, each in zip(draws[1:], untrained, strict=True)]
    return verdict.sentence(scored(draws[0] < network), initial, "block4", seed=0)


def test_the_verdict() -> None:
    assert sentence(0.6, 0.4).startswith("The network has learnt something that the untrained one")
    assert "cannot be told from these images" in sentence(0.5, 0.5)
    assert "which is fewer" in sentence(0.4, 0.6)
    assert "takes 100 or more" in sentence(0.9, 0.1, count=50)
    assert "--baseline=SAVED_MODEL" in sentence(0.9)
    assert "too easy" in sentence(1, 1)
    collapsed = verdict.sentence(scored(np.zeros(500, bool), rank=1.0), [], "block4", seed=0)
    assert "has collapsed" in collapsed


def test_the_verdict_holds_against_every_initialisation() -> None:
    assert "has learnt" in sentence(0.5, 0.3, 0.31)
    assert "cannot be told" in sentence(0.5, 0.3, 0.49)


def test_the_interval_is_that_of_the_paired_difference() -> None:
    random = np.random.default_rng(0)
    untrained = random.random(2000) < 0.5
    network = untrained | (random.random(2000) < 0.1)
    gains = network.astype(float) - untrained
    found = difference(network, untrained, seed=0)
    error = 1.96 * gains.std() / np.sqrt(len(gains))
    assert found.mean == pytest.approx(gains.mean())
    assert found.low == pytest.approx(gains.mean() - error, abs=0.002)
    assert found.high == pytest.approx(gains.mean() + error, abs=0.002)
    assert difference(network, untrained, 0, comparisons=5).low < found.low


NAMES = ImageNames(["a/1.jpg", "b/1.jpg", "b/2.jpg"], ["train", "val", "test"], np.array([0, 1, 1]))


def test_queries_are_found_by_path_or_its_end() -> None:
    queries = ("b/1.jpg", "2.jpg", "photos/a/1.jpg", "./b/2.jpg")
    assert image_names.find(queries, NAMES) == [1, 2, 0, 2]
    with pytest.raises(ValueError, match=r"2 images are called 1.jpg"):
        image_names.find(("1.jpg",), NAMES)
    with pytest.raises(ValueError, match=r"no image b/3.jpg, did you mean b/"):
        image_names.find(("b/3.jpg",), NAMES)


def test_the_projectors_files_are_read_by_its_own_code(tmp_path) -> None:
    from tensorboard.plugins.projector import projector_config_pb2, projector_plugin

    rows = features(10, 3)
    pictures = [Image.new("RGB", (72, 72))] * 10
    columns = {"path": ['a\tb"\n.jpg', *"bcdefghij"], "split": ["train"] * 10}
    projector.write(rows, pictures, columns, "pre_logits", epath.Path(tmp_path))
    config = projector_config_pb2.ProjectorConfig()
    projector_plugin.text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), config)
    (embedding,) = config.embeddings
    np.testing.assert_allclose(np.loadtxt(tmp_path / embedding.tensor_path), rows, rtol=1e-4)
    lines = list(csv.reader((tmp_path / embedding.metadata_path).open(), delimiter="\t"))
    assert [len(line) for line in lines] == [2] * 11, "a heading and ten rows"
    assert Image.open(tmp_path / embedding.sprite.image_path).size == (200, 200)
    assert list(embedding.sprite.single_image_dim) == [50, 50]


def test_several_embeddings_have_a_file_each(tmp_path) -> None:
    layers = {"pre_logits": features(4), "block/4": features(5)}
    written = tables.write_embeddings(layers, epath.Path(tmp_path))
    assert [path.name for _, path in written] == ["embeddings.npy", "embeddings_block%2F4.npy"]
    for (_, path), rows in zip(written, layers.values(), strict=True):
        np.testing.assert_array_equal(np.load(path), rows)
    with pytest.raises(ValueError, match="not among --layers, block1"):
        tables.embedded_layers(("block9",), ("block1",))


def test_recorded_augmentations(tmp_path) -> None:
    from evaluate.representations import ExtractOptions

    options = ExtractOptions(resize_size=36, crop_size=32)
    model = tmp_path / "run" / "saved_model"
    model.mkdir(parents=True)
    unknown, _ = views.cut(str(model), options)
    assert (unknown.cut.resize_size, unknown.cut.flip, unknown.colours) == (37, True, False)
    (tmp_path / "run" / "flags.cfg").write_text("--task=jigsaw\n--augmentation=inception\n")
    assert not views.cut(str(model), options)[0].cut.flip
    card = "--task=rotation\n--augmentation=inception\n"
    (model / "README.md").write_text(f"# Card\n\n```\n{card}```\n")
    assert views.cut(str(model), options)[0].colours, "the card comes first"
