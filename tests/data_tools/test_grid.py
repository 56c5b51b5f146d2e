"""Arrays on a fixed grid: what becomes of weights, masks, labels and times, and of arrays that lie."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest

from data_tools import grid, table
from data_tools.grid import GridSource
from data_tools.sources import SOURCES, open_source, source_class
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory

RNG = np.random.default_rng(5)
FLUX = RNG.normal(10, 5, (7, 12, 3)).astype(np.float32)
WEIGHT = np.where(RNG.random(FLUX.shape) < 0.3, 100.0, 0.0)
LABELS = np.array([0, 1, 2, 0, 1, -1, 2])
BANDS = np.array(["g", "r", "i"])


def _arrays(**changes):
    arrays = {"flux": FLUX, "weight": WEIGHT, "label": LABELS, "bands": BANDS, "model": FLUX + 1} | changes
    return {name: array for name, array in arrays.items() if array is not None}


def _records(path, **options):
    return [outcome.record for outcome in open_source([path], "grid", **options).objects()]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("piece", [2, 1000])
def test_observed_points_become_rows(tmp_path, monkeypatch, save, piece):
    monkeypatch.setattr(grid, "_PIECE", piece)
    save(tmp_path / "a.npz", **_arrays(time=59000 + np.arange(12) * 0.5, id=np.array([f"o{n}" for n in range(7)])))
    for number, record in enumerate(_records(tmp_path / "a.npz")):
        steps, bands = np.nonzero(WEIGHT[number])
        np.testing.assert_array_equal(record.lc.time, 59000 + steps * 0.5)
        np.testing.assert_array_equal(record.lc.band, bands)
        np.testing.assert_array_equal(record.lc.flux, FLUX[number][steps, bands])
        np.testing.assert_allclose(record.lc.flux_err, 0.1, rtol=1e-6)
        np.testing.assert_array_equal(record.targets["flux"], record.lc.flux + 1)
        assert (record.object_id, record.class_id) == (f"o{number}", LABELS[number])


def test_npy_files_by_the_ends_of_their_names(tmp_path):
    one_hot = np.where(LABELS[:, None] == np.arange(3), 1, 0)
    for name, array in (("X_flux", np.asfortranarray(FLUX)), ("X_mask", WEIGHT > 0), ("X_labels", one_hot)):
        np.save(tmp_path / f"{name}.npy", array)
    paths = sorted(tmp_path.glob("*.npy"))
    assert [name for name in SOURCES if source_class(name).recognises(paths)] == ["grid"]
    source = GridSource(paths, bands="g=4800,r=6200,z9=9000", start=100, step=3, flux_err=0.5)
    records = [outcome.record for outcome in pickle.loads(pickle.dumps(source)).read(source.pieces()[0])]
    assert [record.class_id for record in records] == LABELS.tolist()
    np.testing.assert_array_equal(records[3].lc.flux, FLUX[3][WEIGHT[3] > 0])
    assert set(records[3].lc.flux_err) == {0.5} and (records[3].lc.time % 3 == 1).all()
    assert source.bands[2].wavelength_angstrom == 9000


def test_the_start_row_of_a_decoder_is_no_observation(tmp_path):
    weight = np.ones(FLUX.shape)
    for name, array in (("lc_data", FLUX), ("real_lc_data", FLUX + 1), ("weightmap", weight), ("label", LABELS)):
        np.save(tmp_path / f"{name}.npy", array)
    source = GridSource(sorted(tmp_path.glob("*.npy")), bands="g,r,i", skip_steps=1)
    record = next(source.objects()).record
    assert (record.lc.time[0], record.lc.time[-1], len(record.lc)) == (0, 10, 33)
    np.testing.assert_array_equal(record.targets["flux"], record.lc.flux + 1)
    with pytest.raises(UsageError, match="--skip-steps leaves some of the 12 steps"):
        GridSource(sorted(tmp_path.glob("*.npy")), bands="g,r,i", skip_steps=12)


def test_a_bad_object_is_refused_and_the_rest_goes_on(tmp_path):
    flux, weight = FLUX.copy(), WEIGHT.copy()
    flux[1, 0, 0], weight[1, 0, 0] = np.inf, 1.0
    weight[2, 3, 1] = -1
    flux[3, 5, 2], weight[3, 5, 2] = np.nan, 1.0
    np.savez(tmp_path / "a.npz", **_arrays(flux=flux, weight=weight, model=None))
    table.main([str(tmp_path / "a.npz"), "--grid", "--out", str(tmp_path / "out"), "--survey", "toy", "--quiet"])
    records = RecordDirectory(tmp_path / "out")
    assert (records.info.ledger.written, records.info.ledger.quarantined, records.info.survey) == (5, 2, "toy")
    found = [records.record(row) for row in range(5)]
    assert sum(len(each.lc) for each in found if each.object_id == "3") == (WEIGHT[3] > 0).sum() - (WEIGHT[3, 5, 2] > 0)


WRONG = {
    "shape": ({"weight": WEIGHT[:, :5]}, DataError, r"'weight' has the shape \[7, 12, 3\]. Received: \[7, 5, 3\]"),
    "time": ({"time": np.arange(5)}, DataError, "'time' has the shape"),
    "labels": ({"label": LABELS + 0.5}, DataError, "'label' holds whole numbers"),
    "objects": ({"label": np.array([None] * 7)}, DataError, "nothing is unpickled"),
    "no errors": ({"weight": None}, UsageError, "--flux-err is the positive error"),
    "unknown": ({"extra": LABELS}, UsageError, "arrays are flux.*'extra'"),
    "bands": ({"bands": BANDS[:2]}, UsageError, "--bands names the 3 bands"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_named(tmp_path, case):
    changes, error, message = WRONG[case]
    np.savez(tmp_path / "a.npz", **_arrays(**changes))
    with pytest.raises(error, match=message):
        GridSource([tmp_path / "a.npz"])


def test_headers_that_lie_are_refused(tmp_path):
    file = io.BytesIO()
    np.save(file, FLUX)
    lie = file.getvalue().replace(b"(7, 12, 3)", b"(7, 99, 9)")
    (tmp_path / "X_flux.npy").write_bytes(lie)
    with pytest.raises(DataError, match="bytes that its shape needs|cut short or damaged"):
        GridSource([tmp_path / "X_flux.npy"], flux_err=1.0, bands="a=1,b=2,c=3")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("flux.npy", lie)
    assert not GridSource.recognises([tmp_path / "a.npz"])
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    with pytest.raises(DataError, match="cut short or damaged"):
        GridSource([tmp_path / "a.npz"])
