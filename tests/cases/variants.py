"""Small models for the shared cases: every registered one, in the structural variants of its family.

A new model needs no line here: its hyperparameters are its defaults with every size cut to `SIZE`. A family
with structural options lists them in `EXAMPLES`; one whose cut sizes do not fit together corrects them in
`TINY`.
"""

from __future__ import annotations

import dataclasses

import pytest

from zoo import registry

SIZE = 4
"""Integers among the default hyperparameters are cut to this."""

SERIES = {"num_layers": 2, "d_model": 8, "num_heads": 2, "dff": 8, "embed": True}
TINY = {
    "atat": {"layers": 2, "quantiles": 9, "initializer": "xavier"},
    # Days as they are leave the gates of so few units at their ends, where nothing shows.
    "hierarchical_lstm": {"layers": 2, "time_scale": 500.0},
    "oracle": {"layers": 2, "time_scale": 500.0},
    # Raw flux would drive every gate into its flat part.
    "rapid": {"dropout": 0.0, "flux_transform": "asinh"},
    "informer": {
        "length": 40,
        "d_model": 8,
        "num_heads": 2,
        "dff": 8,
        "layers": 2,
        "dropout": 0.0,
        "embedding_dropout": 0.0,
    },
    "galspecnet": {"channels": [6, 6], "kernel": 3, "pool": 3, "dropout": 0.0},
    "metamodel": {"hidden_dim": 8, "dropout": 0.0},
    "astrom3": {
        "hidden_dim": 8,
        "photo_length": 40,
        "photo_d_model": 8,
        "photo_num_heads": 2,
        "photo_dff": 8,
        "photo_layers": 1,
        "photo_dropout": 0.0,
        "photo_embedding_dropout": 0.0,
        "spectra_channels": [6, 6],
        "spectra_kernel": 3,
        "spectra_pool": 3,
        "spectra_dropout": 0.0,
        "meta_hidden_dim": 8,
        "meta_dropout": 0.0,
    },
    "stamp_classifier": {"crop": 9, "kernel": 3, "units": 8, "dropout": 0.0},
    "stamp_classifier_enhanced": {
        "crop": 9,
        "window": 11,
        "kernel": 3,
        "units": 8,
        "dropout": 0.0,
        "theta": 0.0,
        "turns": 3,
    },
    "t2": {"d_model": 8, "layers": 2, "dropout": 0.0},
    "temporal_stamp_classifier": {
        "crop": 9,
        "window": 11,
        "kernel": 3,
        "units": 8,
        "core_units": 8,
        "dropout": 0.0,
        "theta": 0.0,
        "frames": 6,
        "time_scale": 10.0,
        "turns": 2,
        "conv_kernel": 2,
        "dynamic": ["fwhm", "magpsf", "chinr"],
    },
    "transformer_autoencoder": SERIES,
    "ae_classifier": SERIES,
    "encoder_ffn": SERIES | {"kld_alpha": 0.01},
    "simple_rnn": {"units": 8, "dense": 8},
    "stamp_ae": {"crop": 9, "filters": 8},
    "linear_probe": {"crop": 9, "filters": 8},
    "stamp_ae_classifier": {"crop": 21, "filters": 4, "width": 16, "dropout": 0.0},
    "stamp_recurrent_ae": {"crop": 9, "filters": 8, "units": 8, "layers": 2, "dropout": 0.0},
    "latent_rnn": {"crop": 9, "filters": 8, "units": 8, "dropout": 0.0},
    "stamp_gru": {"crop": 21, "filters": 4, "units": 8, "layers": 2, "width": 16, "dropout": 0.0},
    "vade": {"crop": 9, "filters": 8, "normalize": "per_image"},
    "deep_hits": {"crop": 9, "width": 16, "dropout": 0.0, "slope": 0.3},
    "stamp_rcnn": {"crop": 9, "filters": 8, "units": 8, "dense": 8, "dropout": 0.0, "ramp": 100},
    "alexnet": {
        "crop": 27,
        "convolutions": [8, 8, 8, 8, 8],
        "first_size": 3,
        "first_stride": 1,
        "dense": 8,
        "norm": "batch",
        "groups": 2,
    },
}
"""By family, or by model: hyperparameters of all its small models. Initial values are large enough that an input that
must not matter would show."""

EXAMPLES = {
    "atat": {
        "all": {"objective": "all", "features": True},
        "lc": {"objective": "lc"},
        "lc_flux_err_asinh": {"objective": "lc", "use_flux_err": True, "flux_transform": "asinh"},
        "lc_sinusoid": {"objective": "lc", "time_encoding": "sinusoid"},
        "lc_sinusoid_band": {"objective": "lc", "time_encoding": "sinusoid", "band_embedding": True},
        "lc_relative": {"objective": "lc", "relative_flux": True},
        "lc_average": {"objective": "lc", "pooling": "average", "layers": 1},
        "tab": {"objective": "tab"},
        "tab_features_last_day": {"objective": "tab", "features": True, "quantile_days": "last"},
        "tab_raw_columns": {"objective": "tab", "features": True, "quantile": False, "missing": "median"},
        "mix": {"objective": "mix"},
        "mix_raw_table": {"objective": "mix", "tabular": "raw"},
        "mix_features_indicator": {
            "objective": "mix", "metadata": False, "features": True, "missing": "indicator"
        },
        "all_mlp_rest_frame": {
            "objective": "all", "features": True, "tabular": "mlp", "rest_frame": True, "absolute_flux": True,
            "rest_fluxes": ["0", "1"], "rest_times": ["2"], "mlp_dropout": 0.0, "mlp_input_dropout": 0.0,
        },
        "combined": {"objective": "lc", "combine_tokens": True},
        "combined_first": {"objective": "all", "combine_tokens": True, "combine_read": "first", "missing": "median"},
    },
    "hierarchical_lstm": {
        "scaled": {"static_scale": "quantile", "missing": "indicator", "relu_first": False},
        "default": {},
        "lc": {"static": False, "band": "wavelength"},
    },
    "oracle": {
        "scaled": {"static_scale": "quantile", "missing": "indicator"},
        "default": {},
        "one_hot": {"band": "one_hot", "flux_transform": "asinh", "flux_scale": 1.0},
    },
    "informer": {
        "all_keys": {},
        "mixed_fixed_keys": {"head_merge": "mixed", "key_sampling": "fixed", "num_heads": 3, "activation": "relu"},
        "one_head": {"num_heads": 1, "key_sampling": "fixed", "use_scale": False},
        "mean_by_time": {"pooling": "mean", "positions": "time"},
    },
    "galspecnet": {"all_channels": {}, "flux": {"use_err": False, "use_scale": False}},
    "metamodel": {"scaled": {}, "as_is": {"scaling": "none", "transform": False}},
    "astrom3": {
        "concat_columns": {"fusion": "concat", "photo_cols": ["period"]},
        "avg": {},
    },
    "astrom3_clip": {
        "columns": {"photo_cols": ["period"]},
        "compat": {"scale_compat": True, "photo_head_merge": "mixed", "meta_columns": ["l", "period"]},
    },
    "rapid": {"redshift": {}, "no_redshift": {"metadata": False}},
    "stamp_classifier": {
        "features": {},
        "stamps": {"features": False, "channels": ["difference", "science"], "normalize": "per_sample"},
    },
    "t2": {
        "steps": {"redshift": "L"},
        "channels": {"redshift": "M", "layers": 1},
        "no_redshift": {"redshift": "none", "scaling": "none"},
    },
    "temporal_stamp_classifier": {
        "lstm": {"static": True, "quantiles": 10},
        "gru": {"core": "gru", "layers": 2},
        "rnn": {"core": "rnn", "features": False, "dynamic": None},
        "conv": {"core": "conv", "dynamic": []},
        "tdnn": {"core": "tdnn"},
        "gamma": {"core": "gamma", "taps": 3},
        "columns": {"images": False},
    },
    "transformer_autoencoder": {
        "embed": {},
        "no_embed": {"embed": False, "d_model": 6, "num_heads": 3},
        "denoise": {"mapping": "denoise"},
    },
    "ae_classifier": {
        "embed": {},
        "no_embed": {"embed": False, "d_model": 6, "num_heads": 3},
    },
    "stamp_recurrent_ae": {
        "combined": {},
        "frames_gru": {"reconstruct": "frames", "cell": "gru", "reconstruction_share": 0.9},
    },
    "latent_rnn": {"lstm": {}, "rnn": {"cell": "rnn"}},
    "stamp_rcnn": {
        "three_channels": {"channels": ["science", "template", "difference"], "window": 1, "times": False},
        # Of raw fluxes the two largest values in a window of a pool are alike to 2e-6, where rounding, and with it the
        # number of replicas, chooses which has the gradient.
        "windows": {"window": 2, "normalize": "per_image"},
    },
}  # fmt: skip
"""By family, or by model: name of a variant, and its hyperparameters beside the cut sizes. The first is the richest."""

ORDERED: set[str] = set()
"""Families that read observations as a sequence although their view holds a set."""

WITHOUT_REPRESENTATION: set[str] = set()
"""Models that are no encoders: their networks have no `represent`."""

IN_FLOAT32 = {"temporal_stamp_classifier-columns"}
"""Examples of which no part computes in bfloat16: without images only small recurrent layers are left."""

ALL_PARTS = {"astrom3"}
"""Models that read every part of their view, of which others of the same task and view read some."""

NO_GRADIENT = ("attention/key_bias",)
"""Ends of paths of variables that no output depends on: the softmax cancels the key bias."""


@dataclasses.dataclass(frozen=True)
class Example:
    """A registered model with small hyperparameters.

    Attributes
    ----------
    model : str
        Name in the registry.
    variant : str
    """

    model: str
    variant: str

    @property
    def entry(self) -> registry.Entry:
        """The registry's entry."""
        return registry.get(self.model)

    @property
    def hparams(self) -> dict:
        """All hyperparameters."""
        changes = _of(EXAMPLES, self.model).get(self.variant, {})
        settled = self.entry.config(**{**_cut(self.entry.config), **_of(TINY, self.model), **changes})
        return dataclasses.asdict(settled)

    def __str__(self) -> str:
        return f"{self.model}-{self.variant}"


def _of(table: dict, model: str) -> dict:
    """Give what a table holds of a model, or of its family."""
    return table.get(model) or table.get(registry.get(model).family, {})


def _cut(config) -> dict:
    values = {field.name: field.default for field in dataclasses.fields(config)}
    return {
        key: min(value, SIZE) for key, value in values.items() if isinstance(value, int) and not isinstance(value, bool)
    }


def examples() -> list[Example]:
    """Give every model in every variant."""
    return [Example(name, variant) for name in registry.entries() for variant in _of(EXAMPLES, name) or {"default": {}}]


def richest() -> list[Example]:
    """Give every model once, in its first variant."""
    return list({example.model: example for example in reversed(examples())}.values())


def one_a_kind() -> list[Example]:
    """Give one model for every task and view, in its first variant: that of `ALL_PARTS`, if there is one."""
    kinds = {(example.entry.task, example.entry.view): example for example in reversed(richest())}
    whole = {(example.entry.task, example.entry.view): example for example in richest() if example.model in ALL_PARTS}
    return list((kinds | whole).values())


def one_a_view() -> list[Example]:
    """Give one of `one_a_kind` for every view."""
    return list({example.entry.view: example for example in reversed(one_a_kind())}.values())


def costly(chosen: list[Example], kept=list) -> list:
    """Give the ``kept`` examples as parameters of a test that takes seconds: all but the chosen are marked slow."""
    return [example if example in chosen else pytest.param(example, marks=pytest.mark.slow)
            for example in kept(examples())]  # fmt: skip
