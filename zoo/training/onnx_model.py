"""The network as an ONNX model, from the tensors of its view to its outputs, checked after writing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfrecords.errors import DataError, UsageError
from zoo import views
from zoo.training import files
from zoo.training.run import Run

TOLERANCE = 1e-5
"""Largest difference between the written model and the network, relative to the largest number above 1."""


def difference(ours, theirs) -> float:
    """Give the largest difference of two arrays of numbers, relative to the largest of the first above 1."""
    scale = max(1.0, float(np.max(np.abs(ours), initial=0.0)))
    return float(np.max(np.abs(ours.astype("float64") - theirs), initial=0.0)) / scale


def write_onnx(run: Run, path: Path, tensors) -> None:
    """Write the network of a run as ONNX, its inputs the tensors of its view; an output ``mask`` is ``output_mask``.

    Parameters
    ----------
    run : Run
    path : Path
    tensors : dict of str to tensor
        A batch of the view, on which the written model is compared with the network.

    Raises
    ------
    UsageError
        If the extra ``onnx`` is not installed, or ONNX lacks an operation of the network.
    DataError
        If the written model does not give the network's outputs.
    """
    import tensorflow as tf

    try:
        import onnx
        import onnxruntime
        import tf2onnx
    except ImportError:
        raise UsageError(
            "--onnx needs the extra: pip install 'timedomain-zoo[onnx]'. Received: not installed"
        ) from None
    from keras.src.export.tf2onnx_lib import patch_tf2onnx

    patch_tf2onnx()
    bundle = run.bundle
    length = views.sizes(bundle.spec.model_info())
    specs = {
        name: tf.TensorSpec([length.get(axis) for axis in axes], kind, name)
        for name, (axes, kind) in views.tensors(bundle.entry.view, bundle.config.parts()).items()
    }

    @tf.function
    def network(tensors):
        # A graph in ONNX has one set of names.
        found = run.network(tensors, training=False)
        return {f"output_{key}" if key in specs else key: value for key, value in found.items()}

    def write(temporary: Path) -> None:
        model, _ = tf2onnx.convert.from_function(
            network, [specs], custom_op_handlers={"SelectV2": (_choice, [])}, output_path=str(temporary)
        )
        lacking = {node.op_type for node in model.graph.node if not node.domain and not onnx.defs.has(node.op_type)}
        if lacking:
            raise UsageError(
                f"--onnx: ONNX lacks an operation of {bundle.model}; the SavedModel has it. Received: {sorted(lacking)}"
            )
        _check(run, onnxruntime.InferenceSession(str(temporary)), tensors, path)

    files.atomic(path, write)


def _choice(_context, node, *_arguments) -> None:
    # Left alone, tf2onnx makes a choice a sum of products with 0 and 1, in which what is not finite is never left out.
    node.type = "Where"


def _check(run: Run, session, tensors, path: Path) -> None:
    """Compare the heads of the ONNX session with the network's."""
    expected = run.network(tensors, training=False)
    wanted = {item.name for item in session.get_inputs()}
    names = [item.name for item in session.get_outputs()]
    found = session.run(None, {key: value.numpy() for key, value in tensors.items() if key in wanted})
    found = dict(zip(names, found, strict=True))
    for head in run.network.heads:
        found_difference = difference(np.asarray(expected[head]), found[head])
        if not found_difference <= TOLERANCE:
            raise DataError(
                f"{path}: the ONNX model does not give the network's {head!r}. "
                f"Valid: a difference <= {TOLERANCE}. Received: {found_difference}"
            )
