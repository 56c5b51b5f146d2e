"""The network written as ONNX gives the heads that it gives here; for those who have the extra ``onnx``."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import variants
from tfrecords.errors import UsageError
from zoo.training import bundle as bundles
from zoo.training.run import Run

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


TURNED = ("stamp_classifier_enhanced", "temporal_stamp_classifier")
"""Models that turn images by any angle."""


@pytest.mark.parametrize("example", variants.richest(), ids=str)
def test_onnx_gives_the_same_heads(example, make_bench, tmp_path):
    bench, path = make_bench(example), tmp_path / "network.onnx"
    bundles.save(tmp_path / "bundle", bench.bundle, bench.network)
    if example.model in TURNED:
        with pytest.raises(UsageError, match="ImageProjectiveTransformV3"):
            Run(tmp_path).export(tmp_path / "out", onnx=path)
        assert not path.exists()
        return
    Run(tmp_path).export(tmp_path / "out", onnx=path)
    session = onnxruntime.InferenceSession(str(path))
    inputs, _, _ = bench.batch()
    values = {item.name: np.asarray(inputs[item.name]) for item in session.get_inputs()}
    found = dict(zip([item.name for item in session.get_outputs()], session.run(None, values), strict=True))
    expected = bench.network(inputs, training=False)
    for head in bench.network.heads:
        np.testing.assert_allclose(found[head], expected[head], rtol=1e-4, atol=1e-5)
