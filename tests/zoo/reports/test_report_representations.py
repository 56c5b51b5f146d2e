"""Figures and files of representations: one legend, categories and numbers, sprites, what TensorBoard reads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from tests.zoo.reports.test_report_plots import pixels, words
from tfrecords.errors import UsageError
from zoo.reports import representations as report


def _panel(name, values):
    points = np.random.default_rng(len(name)).normal(size=(len(values), 2))
    return name, points, ("x 1", "x 2"), np.asarray(values)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_categories_share_one_legend(count):
    values = np.array(["SNIa", "$x$", None, "_hidden"] * 5, object)
    figure = report.projection_figure([_panel(f"run {n}", values) for n in range(count)], "class")
    pixels(figure)
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [r"\$x\$", "SNIa", " _hidden", "none"]
    assert sum(axis.axison for axis in figure.axes) == count
    assert {"x 1", "x 2", "class", "20 objects by class"} <= set(words(figure))


def test_numbers_have_one_colour_bar_and_few_whole_ones_a_legend():
    values = np.append(np.linspace(0, 1, 29), np.nan)
    figure = report.projection_figure([_panel("a", values), _panel("b", values)], "redshift")
    pixels(figure)
    assert not figure.legends and len(figure.axes) == 3 and "redshift" in words(figure)
    figure = report.projection_figure([_panel("a", [0.0, 1.0, np.nan, 10.0, 2.0])], "ddf")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0", "1", "2", "10", "none"]
    everything_missing = report.projection_figure([_panel("a", [np.nan] * 6)], "redshift")
    pixels(everything_missing)


def test_every_one_of_twenty_classes_has_a_colour_of_its_own():
    figure = report.projection_figure([_panel("a", np.array([f"class {n}" for n in range(20)] * 2))], "class")
    handles = figure.legends[0].legend_handles
    assert len({handle.get_color() for handle in handles}) == 20


def test_names_of_runs_are_different_folders(tmp_path):
    assert report.run_names(["r/atat/x", "r/t2/x", "q/atat/x"]) == ["atat-x", "t2-x", "atat-x_2"]
    with pytest.raises(UsageError, match="given once"):
        report.run_names(["r/atat/x", "r/atat/../atat/x"])


def test_tensorboard_reads_what_was_written(tmp_path):
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    values = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    table = pd.DataFrame(
        {"object_id": list("abcde"), "class": ["SN\tIa", None, "", "x", "y"], "z": [0.5, np.nan, 1, 2, 3]}
    )
    images = np.arange(5, dtype="uint8")[:, None, None] * np.full((1, 4, 4), 50, "uint8")
    place = report.write_projector(tmp_path / "p", [("one", values, table, images), ("two", values, table, None)])
    config = text_format.Parse(place.read_text(), ProjectorConfig())
    assert [item.tensor_name for item in config.embeddings] == ["one", "two"]
    one, two = config.embeddings
    np.testing.assert_allclose(np.loadtxt(tmp_path / "p" / one.tensor_path, delimiter="\t"), values, rtol=1e-6)
    rows = [line.split("\t") for line in (tmp_path / "p" / two.metadata_path).read_text().splitlines()]
    assert rows[:3] == [["object_id", "class", "z"], ["a", "SN Ia", "0.5"], ["b", "none", "none"]]
    assert rows[3] == ["c", "-", "1"] and len(rows) == 6
    assert list(one.sprite.single_image_dim) == [4, 4] and not two.HasField("sprite")
    image = imread(tmp_path / "p" / one.sprite.image_path)[..., 0]
    assert image.shape == (12, 12)
    np.testing.assert_allclose(image[::4, ::4] * 255, [[0, 50, 100], [150, 200, 0], [0, 0, 0]], atol=0.5)


def test_a_sprite_fits_into_what_tensorboard_takes(monkeypatch):
    monkeypatch.setattr(report, "SPRITE", 40)
    assert report.sprite(np.full((30, 16, 16), 7, "uint8")).shape == (36, 36)


def test_tables_say_what_could_not_be_scored(tmp_path):
    row = {"run": "a", "dimension": 4, "objects": 9, "refused": 1, "clustering": {"split": "all", "reason": "no class"},
           "linear_probe": {"macro_f1": 0.5, "train_objects": 5, "test_objects": 4, "converged": False}}  # fmt: skip
    text = report.write_scores(tmp_path / "scores.json", [row])
    assert "| a | 4 | 9 | 1 | – | – | 0.500 |" in text and "Clusters: no class." in text and "not converged" in text
    near = pd.DataFrame(
        {"run": ["a"], "query": ["1"], "rank": [1], "object_id": ["2"], "class": [None], "distance": [2.0]}
    )
    assert "| a | 1 | 1 | 2 | none | 2 |" in report.write_neighbours(tmp_path / "n.csv", [near])
