"""Policies: networks, heads, and the classical fixed strategies."""

from dice_tf.policies.coin_memory import on_the_grid
from dice_tf.policies.fixed import (
    always_cooperate,
    always_defect,
    fixed_policy,
    grim_trigger,
    random,
    tit_for_tat,
    win_stay_lose_shift,
)
from dice_tf.policies.heads import bernoulli, categorical, with_head
from dice_tf.policies.image_networks import convolutional
from dice_tf.policies.initial import initial_params
from dice_tf.policies.networks import mlp, tabular
from dice_tf.policies.recurrent_networks import gru, lstm
from dice_tf.policies.saved_models import from_saved_model

__all__ = [
    "always_cooperate",
    "always_defect",
    "bernoulli",
    "categorical",
    "convolutional",
    "fixed_policy",
    "from_saved_model",
    "grim_trigger",
    "gru",
    "initial_params",
    "lstm",
    "mlp",
    "on_the_grid",
    "random",
    "tabular",
    "tit_for_tat",
    "win_stay_lose_shift",
    "with_head",
]
