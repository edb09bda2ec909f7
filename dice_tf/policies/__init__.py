"""Policies: networks, heads, and the classical fixed strategies.

A policy is any `keras.Model` from observations to the outputs of a head, or
with memory from `[observations, *states]` to `[outputs, *states]`. What it
does is a function of its weights and one observation (and the states):
log-probabilities are computed again after a play, from these alone.

- Layers run in inference mode, always: `Dropout`, `GaussianNoise` and their
  kind do nothing, and `BatchNormalization` takes its moving averages, which
  training leaves as they are.
- A policy that draws noise of its own, has a state that calls change, or
  mixes the observations of a batch is refused, as with `training=True`. What
  is to be random belongs in the distribution that the head returns.
- A policy with wrong second derivatives is refused, see
  `dice_tf.check_policy`.
- Each seat has a model of its own: what one seat trains, no other may hold.

The first two hold for critics, too, and all of them for models of opponents.
"""

from dice_tf.distributions import bernoulli, categorical
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
from dice_tf.policies.heads import with_head
from dice_tf.policies.image_networks import convolutional
from dice_tf.policies.initial import initial_params
from dice_tf.policies.memory_networks import min_gru, stacked
from dice_tf.policies.networks import mlp, tabular
from dice_tf.policies.recurrent_networks import gru, lstm, recurrent
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
    "min_gru",
    "mlp",
    "on_the_grid",
    "random",
    "recurrent",
    "stacked",
    "tabular",
    "tit_for_tat",
    "win_stay_lose_shift",
    "with_head",
]
