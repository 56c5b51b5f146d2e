"""TensorFlow checkpoints: the arrays under the names of the attributes that hold them."""

from __future__ import annotations

import re
from collections import deque

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
LISTS = re.compile(r"(non_)?trainable_variables|variables|weights|layers|layer-\d+|regularization_losses")
"""Keras's own lists of what has a better name elsewhere."""

STATE = re.compile(r"_?optimizer|keras_api|(compiled_|_?)metrics|compiled_loss|save_counter|signatures")
"""What belongs to the training and not to the network."""


def read(prefix: str) -> dict:
    """Read a checkpoint of objects, or the ``variables/variables`` of a SavedModel.

    In a SavedModel of Keras 2 the file calls the arrays ``variables/0``, ``variables/1`` ...; what they are is in the
    graph of objects that the file holds too. State of optimizers and metrics is left out.

    Parameters
    ----------
    prefix : str
        Path without ``.index``.

    Returns
    -------
    dict of str to numpy array
        By attributes from the root, for instance ``encoder/0/att/query_dense/kernel``; a checkpoint without such a
        graph keeps its names.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    reader = tf.train.load_checkpoint(prefix)
    known = reader.get_variable_to_shape_map()
    if GRAPH not in known:
        return {name.removesuffix(SUFFIX): reader.get_tensor(name) for name in sorted(known)}
    nodes = TrackableObjectGraph.FromString(reader.get_tensor(GRAPH)).nodes
    found = {}
    for number, name in _names(nodes).items():
        for attribute in nodes[number].attributes:
            if attribute.name == "VARIABLE_VALUE" and attribute.checkpoint_key in known:
                found[name] = reader.get_tensor(attribute.checkpoint_key)
    return found


def _names(nodes) -> dict[int, str]:
    """Give the shortest path of attributes to every object, one through Keras's lists only where no other is."""
    names = {0: ""}
    for skipped in (re.compile(f"{STATE.pattern}|{LISTS.pattern}"), STATE):
        waiting = deque(names)
        while waiting:
            number = waiting.popleft()
            for child in nodes[number].children:
                if child.node_id not in names and not skipped.fullmatch(child.local_name):
                    names[child.node_id] = f"{names[number]}/{child.local_name}".lstrip("/")
                    waiting.append(child.node_id)
    return names
