"""Every figure draws something, without warnings, with the words that make it readable."""

from __future__ import annotations

import io
import math
import warnings

import numpy as np
import pandas as pd
import pytest

from tfrecords.errors import UsageError
from zoo.reports.plots import activation, calibration, days, lightcurves, matrices, ranking, training
from zoo.reports.plots.style import day_positions, plain
from zoo.reports.predictions import BEFORE, by_day
from zoo.reports.scores import confusion, reliability_table, score_table

ODD = ["_hidden", "cost $5 and $6", "a|b/c", "Ünïcode", "x" * 40]


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def pixels(figure) -> np.ndarray:
    """Draw a figure as its PNG does, and see that it is not blank."""
    from matplotlib.image import imread

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    image = imread(buffer)
    assert min(image.shape[:2]) > 200 and image[..., :3].std() > 0.02
    return image


def words(figure) -> list[str]:
    """Every text of a figure."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


@pytest.mark.parametrize("grid", [True, False])
def test_activation_figure_shows_the_true_class_and_steps_behind_the_grid(grid):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"step": np.arange(12)} | {f"a_{name}": rng.normal(size=12) for name in ODD})
    for band in "ug":
        rows[f"flux_{band}"] = np.where((np.arange(12) < 10) & grid, rng.normal(size=12), np.nan)
    figure = activation.activation_figure(rows, ODD, truth=ODD[3], title="title", flux_unit="Jy")
    pixels(figure)
    found = words(figure)
    assert f"{ODD[3]} (true)" in found and "interpolated flux\n(Jy)" in found and ("no grid" in found) != grid
    points = [line for line in figure.axes[1].get_lines() if line.get_linestyle() == "None"]
    assert {len(line.get_xdata()) for line in points} == ({2} if grid else {12})


@pytest.mark.parametrize("size", [1, 2, 14, 20, 40])
def test_confusion_figure_carries_fractions_and_counts(size):
    classes = [f"class {i}" for i in range(size)]
    matrix = np.random.default_rng(0).integers(1, 30, (size, size))
    matrix[-1] = 0 if size > 1 else 7
    figure = matrices.confusion_figure(matrix, classes, "title")
    pixels(figure)
    cells = [text for text in words(figure) if "\n" in text]
    if size == 40:
        assert not cells
        return
    assert f"{matrix[0, 0] / matrix[0].sum():.2f}\n{matrix[0, 0]}" in cells
    assert len(cells) == np.count_nonzero(matrix)
    assert f"class 0  ({matrix[0].sum()})" in words(figure)


def test_text_of_neighbouring_cells_does_not_touch_at_twenty_classes():
    classes = [f"class {i}" for i in range(20)]
    figure = matrices.confusion_figure(np.full((20, 20), 1234), classes)
    figure.canvas.draw()
    cells = [t.get_window_extent() for t in figure.axes[0].texts]
    assert len(cells) == 400
    assert all(a.x1 < b.x0 for a, b in zip(cells[:19], cells[1:20], strict=True))
    assert all(a.y0 > b.y1 for a, b in zip(cells[0::20][:-1], cells[20::20], strict=True))


def test_mean_confusion_figure_hides_what_would_read_nought():
    mean = np.array([[0.996, 0.004], [np.nan, np.nan]])
    figure = matrices.mean_confusion_figure(mean, np.array([[0.012, 0.001], [np.nan] * 2]), ["A", "B"])
    pixels(figure)
    assert [t.get_text() for t in figure.axes[0].texts] == ["1.00\n±0.01"]
    alone = matrices.mean_confusion_figure(mean, None, ["A", "B"])
    assert [t.get_text() for t in alone.axes[0].texts] == ["1.00"]


def test_confusion_image_is_rgba_for_tensorboard():
    image = matrices.confusion_image(np.array([[5, 1], [2, 8]]), ["A", "B"], "epoch 3")
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 4
    assert image[..., :3].std() > 10 and (image[..., 3] == 255).all()
    with pytest.raises(UsageError, match=r"\(3, 3\). Received: \(2, 2\)"):
        matrices.confusion_image(np.eye(2), ["A", "B", "C"])


@pytest.mark.parametrize("draw", [ranking.roc_figure, ranking.precision_recall_figure])
def test_ranking_curves_name_classes_that_have_none(make, draw):
    classes = [*make.classes, "Mira"]
    frame = make.predictions(classes, present=make.classes)
    figure = draw(by_day(frame, classes)[-1], classes, "title")
    pixels(figure)
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert len(legend) == 5 and legend[-1] == "Mira: no objects"
    assert legend[0].startswith("SNIa: 0.") or legend[0].startswith("SNIa: 1.")
    pixels(draw(by_day(make.predictions(present=["KN"]), make.classes)[-1], make.classes))


def test_ranking_curves_of_thirty_classes_all_look_different(make):
    classes = [f"c{i}" for i in range(30)]
    block = by_day(make.predictions(classes, 200), classes)[-1]
    lines = ranking.roc_figure(block, classes).axes[0].lines[:30]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 30


def test_reliability_figure_counts_objects(predictions, make):
    table = reliability_table(by_day(predictions, make.classes)[-1])
    figure = calibration.reliability_figure(table, "title")
    pixels(figure)
    assert sum(int(t.get_text()) for t in figure.axes[1].texts) == 60


@pytest.mark.parametrize("chosen", [(1.0, 8.0, 128.0, math.inf), (math.inf,), (0.0, 3.0)])
def test_scores_figure_with_bands_and_single_days(make, chosen):
    scores = score_table(make.predictions(days=chosen), make.classes, bootstrap=20)
    figure = days.scores_figure(scores, "title")
    pixels(figure)
    assert len(figure.axes[0].collections) >= 4
    pixels(days.scores_figure(score_table(make.predictions(days=chosen), make.classes, bootstrap=0)))
    one_class = make.predictions(days=chosen, present=["KN"])
    pixels(days.scores_figure(score_table(one_class, make.classes, bootstrap=20)))


def test_day_axis_places_the_whole_light_curve_behind_the_last_day():
    assert day_positions([1.0, 2.0, 2048.0, math.inf]) == {1.0: 1, 2.0: 2, 2048.0: 2048, math.inf: 4096}
    assert day_positions([math.inf]) == {math.inf: 1}
    assert day_positions([0.0, 4.0]) == {0.0: 2, 4.0: 4}
    assert day_positions([BEFORE, 0.0, 4.0]) == {BEFORE: 1, 0.0: 2, 4.0: 4}
    assert day_positions([-20.0, 4.0, math.inf], linear=True) == {-20.0: -20, 4.0: 4, math.inf: 6}


@pytest.mark.parametrize("count", [1, 9])
def test_comparison_figure_draws_every_group_once(make, count):
    groups = {}
    for seed in range(count):
        table = score_table(make.predictions(seed=seed), make.classes, bootstrap=0)
        spread = {f"{name}_std": math.nan if seed else 0.01 for name in days.COMPARED}
        groups[f"group {seed}"] = table.assign(macro_f1_std=0.02, **spread)
    for metrics in (["macro_f1"], days.COMPARED):
        figure = days.comparison_figure(groups, metrics, "title")
        pixels(figure)
        assert len(figure.axes) == len(metrics)
        assert len(figure.legends[0].get_texts()) == count


def test_history_figure_marks_the_best_epoch_and_survives_gaps():
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [2, np.inf, 1.0], "val_macro_f1": [0.2, 0.6, np.nan],
                            "learning_rate": [1e-2, 1e-3, 1e-5]})  # fmt: skip
    figure = training.history_figure(history, "title")
    pixels(figure)
    assert "best 0.600, epoch 2" in words(figure)
    assert figure.axes[2].get_yscale() == "log"
    bare = training.history_figure(pd.DataFrame({"epoch": [1], "loss": [1.0]}))
    assert words(bare).count("not recorded") == 2
    pixels(training.history_figure(history.iloc[:0]))


def test_composition_figure_keeps_class_order_and_shows_classes_without_objects():
    table = pd.DataFrame(
        [("test", "B", 3), ("train", "B", 30), ("train", "A", 10_000), ("test", "Z", 1)],
        columns=["split", "class", "count"],
    )
    figure = training.composition_figure(table, ["B", "C", "A"], "title")
    pixels(figure)
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["B", "C", "A", "Z"]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["train (10030)", "test (4)"]
    assert axes.get_yscale() == "log"
    pixels(training.composition_figure(table.iloc[:0], ["B"]))


def test_light_curve_figure_marks_detections_trigger_and_saturation(make, predictions):
    rows = make.light_curves(predictions, 1)
    mine = predictions[predictions["object_id"] == rows["object_id"].iloc[0]]
    figure = lightcurves.light_curve_figure(rows, mine, make.classes, "title", "FLUXCAL")
    pixels(figure)
    legend = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert legend == ["u", "g", "r", "i", "z", "Y", "trigger", "saturated", "detected", "not detected"]
    shown = [t.get_text() for t in figure.axes[1].get_legend().get_texts()]
    assert shown[0] == "SNIa (true)" and len(shown) == 4
    assert figure.axes[0].get_ylabel() == "flux (FLUXCAL)"


def test_light_curve_figure_of_odd_objects(make, predictions):
    rows = make.light_curves(predictions, 1)
    mine = predictions[predictions["object_id"] == "obj00000"]
    rows.loc[0, "flux"] = np.nan
    rows.loc[1, "flux_err"] = np.inf
    rows.loc[2, "flux_err"] = -1.0
    rows["flags"] = np.uint8(8)
    rows.loc[rows["band"] == "u", "band"] = "_odd $ band"
    figure = lightcurves.light_curve_figure(rows, mine, make.classes)
    pixels(figure)
    assert "1 rows not finite, not drawn" in words(figure) and "detections unknown" in words(figure)
    empty = lightcurves.light_curve_figure(rows.iloc[:0], mine.iloc[:0], make.classes)
    pixels(empty)
    assert {"no observations", "no predictions"} <= set(words(empty))


def test_bands_keep_their_colour_whatever_the_survey_calls_them():
    assert lightcurves.band_look("Y", 0) == lightcurves.band_look("y", 5) == lightcurves.band_look("lssty", 1)
    assert lightcurves.band_look("ztf_r", 0) == lightcurves.band_look("r", 3)
    assert lightcurves.band_look("V", 0) != lightcurves.band_look("I2", 1)


def test_odd_class_names_are_drawn_as_they_are(make):
    frame = make.predictions(ODD)
    block = by_day(frame, ODD)[-1]
    figure = ranking.roc_figure(block, ODD, "cost $5 of $6")
    pixels(figure)
    assert len(figure.legends[0].get_texts()) == 5
    pixels(matrices.confusion_figure(confusion(frame), ODD, "a_$b$"))
    assert plain("_a") == " _a" and plain("$") == r"\$"


def test_long_titles_stay_inside_the_figure(predictions, make):
    table = reliability_table(by_day(predictions, make.classes)[-1])
    figure = calibration.reliability_figure(table, "Reliability\n" + "a long name of a run " * 12)
    figure.canvas.draw()
    box = figure._suptitle.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_the_users_own_style_does_not_leak_in_or_out():
    import matplotlib

    with matplotlib.rc_context({"font.size": 31, "figure.facecolor": "red"}):
        ours = matrices.confusion_image(np.eye(2), ["A", "B"])
        assert matplotlib.rcParams["font.size"] == 31
    np.testing.assert_array_equal(ours, matrices.confusion_image(np.eye(2), ["A", "B"]))
