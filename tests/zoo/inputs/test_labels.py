"""The label maps of the zoo, and native classes that a map says nothing of."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from data_tools.readers.plasticc_survey import CLASS_NAMES
from tfrecords.errors import DataError
from zoo.inputs import labels
from zoo.models.atat.reference import CLASSES

ELASTICC = [
    "AGN", "CART", "Cepheid", "d-Sct", "dwarf-nova", "EB", "ILOT", "KN_B19", "KN_K17", "Mdwarf-flare", "PISN",
    "RRL", "SLSN-I+host", "SLSN-I_no_host", "SNIa-91bg", "SNIa-SALT2", "SNIax", "SNIb+HostXT_V19", "SNIb-Templates",
    "SNIc+HostXT_V19", "SNIc-Templates", "SNIcBL+HostXT_V19", "SNII+HostXT_V19", "SNII-NMF", "SNII-Templates",
    "SNIIn+HostXT_V19", "SNIIn-MOSFIT", "SNIIb+HostXT_V19", "TDE", "uLens-Binary", "uLens-Single-GenLens",
    "uLens-Single_PyLIMA",
]  # fmt: skip
SECOND = [{"AGN": "CLAGN", "SNIa-SALT2": "SNIa-SALT3"}.get(name, name) for name in ELASTICC]
NATIVE = {"plasticc": list(CLASS_NAMES.values()), "rapid": list(CLASS_NAMES.values()), "elasticc": ELASTICC,
          "elasticc2": SECOND}  # fmt: skip
SIZES = {"elasticc_20": (20, 32), "elasticc2_19": (19, 32), "plasticc_8": (8, 8), "rapid_9": (8, 8),
         "rapid_13": (12, 8)}  # fmt: skip


def _natives(names):
    return [SimpleNamespace(id=10 + place, name=name) for place, name in enumerate(names)]


def test_every_map_is_tested():
    assert sorted(SIZES) == labels.available()


@pytest.mark.parametrize("name", SIZES)
def test_maps_fit_their_survey(name):
    names = NATIVE[name.rsplit("_", 1)[0]]
    found = labels.load(_natives(names), name)
    assert (len(found.classes), len(found.native)) == SIZES[name]


def test_classes_hold_what_the_papers_say():
    assert labels.load(_natives(ELASTICC), "elasticc_20").classes == CLASSES
    first, second = (
        labels.load(_natives(names), name) for names, name in ((ELASTICC, "elasticc_20"), (SECOND, "elasticc2_19"))
    )
    place = 10 + ELASTICC.index("SNIIb+HostXT_V19")
    assert first.classes[first.native[place]] == "SN-like/Other"
    assert second.classes[second.native[place]] == "SNII"
    plasticc = labels.load(_natives(CLASS_NAMES.values()), "plasticc_8")
    numbers = dict(zip(CLASS_NAMES, range(10, 24), strict=True))
    kept = [90, 67, 52, 42, 62, 95, 15, 64]
    assert plasticc.index([numbers[code] for code in kept]).tolist() == list(range(8))
    assert set(plasticc.index([numbers[code] for code in set(CLASS_NAMES) - set(kept)])) == {-1}


def test_an_unknown_native_class_is_named(tmp_path):
    with pytest.raises(DataError, match="label map elasticc_20.*Valid: .*SNIa-SALT2.*Received: 'Mira'"):
        labels.load(_natives([*ELASTICC, "Mira"]), "elasticc_20")
    path = tmp_path / "own.yaml"
    path.write_text("classes: {A: [AGN]}")
    assert labels.load(_natives(["AGN", "Mira"]), str(path)).native == {10: 0}
    path.write_text("classes: {A: [AGN]}\ndropped: all")
    with pytest.raises(DataError, match="perhaps with 'dropped"):
        labels.load(_natives(["AGN", "Mira"]), str(path))
