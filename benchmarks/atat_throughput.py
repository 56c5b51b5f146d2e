"""Light curves per second of ATAT at its published size: PyTorch twins against the zoo, interleaved.

    python benchmarks/atat_throughput.py [--metadata] [--rounds 3] [--json FILE]

Needs the extra ``bench``. Input is LSST-like: 6 bands × 65 slots, Poisson(18) observations a band (about
28 % valid), batch 256, float32, 2 threads. Variants: (a) twin with eager attention over all 391 tokens;
(b) the same with PyTorch's fused attention; (c) the zoo without trimming; (d) the zoo as shipped; (e) and
(f) are (d) in bfloat16 and under XLA. All compute the same numbers, which is checked first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch_atat import TorchAtat  # noqa: E402

from zoo.inputs import build, transforms  # noqa: E402
from zoo.models.atat import reference  # noqa: E402
from zoo.optimizers.adam import Adam  # noqa: E402
from zoo.tasks.classify import Classify  # noqa: E402
from zoo.training.config import RunConfig  # noqa: E402
from zoo.training.model import Trainable  # noqa: E402

BATCH, CHUNK, BANDS, SLOTS, MEAN = 256, 16, 6, 65, 18
CONFIG = {
    "head_dim": 48, "num_heads": 4, "attn_layers": 3, "M": 64, "T_max": 1500, "dataset_channel": BANDS,
    "n_classes": 20, "tab_head_dim": 32, "tab_num_heads": 4, "emb_to_classifier": "token",
    "dropout_first_mha": 0.0, "dropout_second_mha": 0.0, "cat_noise_to_E": False,
    "use_common_positional_encoding": False, "combine_lc_tab": False, "not_tabular_transformer": False,
    "using_features": False, "n_features": 0,
}  # fmt: skip


def make_data(objects: int, columns: int):
    """Make LSST-like light curves: arrays (object, slot, band), a table and labels."""
    rng = np.random.default_rng(0)
    counts = np.minimum(rng.poisson(MEAN, (objects, BANDS)), SLOTS)
    mask = np.arange(SLOTS)[None, :, None] < counts[:, None, :]
    days = np.sort(np.where(mask, rng.uniform(0, 1000, mask.shape), np.inf), axis=1)
    return {
        "data": (rng.normal(0, 30, mask.shape) * mask).astype("float32"),
        "time": np.where(mask, days, 0).astype("float32"),
        "mask": mask.astype("float32"),
        "table": rng.normal(size=(objects, columns)).astype("float32"),
        "label": rng.integers(0, CONFIG["n_classes"], objects).astype("int32"),
    }


def curves_of(data) -> transforms.LightCurves:
    """Give the same light curves as a ragged batch."""
    mask = data["mask"].transpose(0, 2, 1) > 0
    row, band, _ = np.nonzero(mask)
    values = {key: data[key].transpose(0, 2, 1)[mask] for key in ("time", "data")}
    return transforms.LightCurves(
        tf.constant(values["time"], tf.float64), tf.constant(band, tf.int32), tf.constant(values["data"]),
        tf.zeros(len(row)), tf.zeros(len(row), tf.int32), tf.constant(row, tf.int64),
        tf.constant(len(mask), tf.int64),
    )  # fmt: skip


def zoo_batches(data, trimmed: bool):
    """Give batches ``(inputs, targets, weight)``: sorted by length and trimmed, or padded to all slots."""
    curves = curves_of(data)
    order = np.argsort(transforms.lengths(curves).numpy(), kind="stable")
    batches = []
    for start in range(0, len(order), BATCH):
        objects = order[start : start + BATCH]
        inputs = build.packed_by_band(transforms.gather(curves, tf.constant(objects, tf.int64)), BANDS)
        if not trimmed:
            inputs = _padded(inputs)
        if data["table"].shape[1]:
            inputs["static"] = tf.constant(data["table"][objects])
        targets = {"label": tf.constant(data["label"][objects])}
        batches.append((inputs, targets, tf.ones(len(objects))))
    return batches, order


def _padded(inputs):
    grids = {key: inputs[key] for key in inputs if key.startswith("grid")}
    slots = grids["grid_time"].shape[2]
    band, slot = inputs["pack_index"] // slots, inputs["pack_index"] % slots
    more = BANDS * SLOTS - inputs["mask"].shape[1]
    found = {key: tf.pad(value, [[0, 0], [0, 0], [0, SLOTS - slots]]) for key, value in grids.items()}
    found["pack_index"] = tf.pad(band * SLOTS + slot, [[0, 0], [0, more]])
    found["mask"] = tf.pad(inputs["mask"], [[0, 0], [0, more]])
    return found


class Twin:
    """A PyTorch twin with its optimizer; one call is one batch."""

    def __init__(self, data, fused: bool):
        torch.manual_seed(0)
        self.model = TorchAtat(data["config"], fused)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, betas=(0.0, 0.999))
        keys = ("data", "time", "mask", *(["table"] if data["table"].shape[1] else []))
        self.inputs = [torch.from_numpy(data[key][:BATCH]) for key in keys]
        self.labels = torch.from_numpy(data["label"][:BATCH]).long()
        self.objects = BATCH

    def infer(self):
        with torch.inference_mode():
            return self.model(*self.inputs)[-1].numpy()

    def train(self):
        self.optimizer.zero_grad()
        loss = sum(functional.cross_entropy(logits, self.labels) for logits in self.model(*self.inputs))
        loss.backward()
        self.optimizer.step()


class Ours:
    """The zoo's network in its own train step; one call is ``count`` batches."""

    def __init__(self, data, state, trimmed: bool, count: int, policy="float32", jit=False):
        keras.mixed_precision.set_global_policy(policy)
        network = reference.import_weights(state, data["config"])
        keras.mixed_precision.set_global_policy("float32")
        spec = type("Spec", (), {"classes": network.info.classes})
        model = Trainable(network, Classify(spec, RunConfig()))
        model.compile(Adam(1e-3, beta_1=0.0), jit_compile=False)
        model.optimizer.build(network.trainable_variables)
        batches, self.order = zoo_batches(data, trimmed)
        step = max(1, len(batches) // count)
        # Every length class is drawn evenly: neither the short nor the long batches alone.
        self.batches, self.picked = batches[step // 2 :: step][:count], range(step // 2, len(batches), step)
        self.all, self.objects = batches, BATCH * len(self.batches)
        self._train = tf.function(lambda *batch: model.train_step(batch), reduce_retracing=True, jit_compile=jit)
        self._infer = tf.function(lambda inputs: network(inputs)[network.primary], reduce_retracing=True,
                                  jit_compile=jit)  # fmt: skip

    def infer(self):
        return [self._infer(inputs).numpy() for inputs, _, _ in self.batches]

    def train(self):
        for batch in self.batches:
            self._train(*batch)

    def first(self, count: int):
        """Give the logits of the first ``count`` objects of the data, in their order."""
        logits = np.concatenate([self._infer(inputs).numpy() for inputs, _, _ in self.all])
        found = np.empty_like(logits)
        found[self.order] = logits
        return found[:count]


def timed(function) -> float:
    """Give the seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Run the benchmark and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--metadata", action="store_true", help="with 64 metadata columns (lc_md)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--extra", action="store_true", help="bfloat16 and XLA beside")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(2)
    tf.config.threading.set_intra_op_parallelism_threads(2)
    columns = 64 if options.metadata else 0
    config = CONFIG | {"predict_obj": "all" if columns else "lc", "using_metadata": bool(columns)}
    config |= {"n_tab": columns, "n_metadata": columns}
    data = make_data(BATCH * CHUNK, columns) | {"config": config}
    twins = {"a twin, eager": Twin(data, False), "b twin, fused": Twin(data, True)}
    state = {key: value.detach().numpy().copy() for key, value in twins["a twin, eager"].model.state_dict().items()}
    twins["b twin, fused"].model.load_state_dict(twins["a twin, eager"].model.state_dict())
    ours = {
        "c zoo, untrimmed": Ours(data, state, False, 1),
        "d zoo, as shipped": Ours(data, state, True, 4),
    }
    expected = twins["a twin, eager"].infer()
    for name, variant in (*twins.items(), *ours.items()):
        logits = variant.infer() if name in twins else variant.first(BATCH)
        difference = np.abs(_logprob(logits) - _logprob(expected)).max()
        print(f"{name}: log-probabilities differ by {difference:.1e}", file=sys.stderr)
        if difference > 1e-5:
            sys.exit(f"{name} does not compute the twin's numbers")
    if options.extra:
        ours["e zoo, bfloat16"] = Ours(data, state, True, 4, policy="mixed_bfloat16")
        ours["f zoo, XLA"] = Ours(data, state, True, 4, jit=True)
    seconds: dict[str, dict[str, list[float]]] = {}
    variants = twins | ours
    for what in ("infer", "train"):
        for variant in ours.values():
            getattr(variant, what)()
        for number in range(options.rounds):
            for name, variant in variants.items():
                rate = variant.objects / timed(getattr(variant, what))
                seconds.setdefault(name, {}).setdefault(what, []).append(rate)
                print(f"round {number + 1} {what} {name}: {rate:.0f}/s", file=sys.stderr)
    rows = {name: {what: statistics.median(rates) for what, rates in row.items()} for name, row in seconds.items()}
    print(f"| {'lc_md' if columns else 'lc'} | training/s | to (a) | to (b) | inference/s | to (a) | to (b) |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    a, b = rows["a twin, eager"], rows["b twin, fused"]
    for name, row in rows.items():
        cells = [f"{row[what]:.0f} | {row[what] / a[what]:.1f} | {row[what] / b[what]:.1f}"
                 for what in ("train", "infer")]  # fmt: skip
        print(f"| {name} | {' | '.join(cells)} |")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(seconds, stream, indent=1)


def _logprob(logits):
    logits = logits.astype("float64")
    return (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )


if __name__ == "__main__":
    main()
