"""A Keras model that trains without data, and says what replaces the rest.

Whatever `keras.Model` offers for inputs, targets and losses has no meaning for
players that play. It would fail deep inside of Keras, or do nothing.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras

_NO_DATA = (
    "A trainer takes no data: its players play, and learn from their games."
)
_POLICIES = (
    "A trainer has one policy per player. Call one for its outputs, "
    "`trainer.objective.policies[player_id](observations)`."
)
_FILES = (
    "A trainer cannot be rebuilt from a file or a configuration: it holds "
    "games and learners. Save what it learned with `save_weights` "
    "(`ModelCheckpoint(..., save_weights_only=True)`) and load that into a new "
    "trainer, or export its policies with `dice_tf.export.export_policy`."
)
_VALUES = (
    "The players of a trainer ascend the values of their objective, "
    "`trainer.objective(params, seed)`, and there is no loss. Another value "
    "needs another objective, such as `dice_tf.objectives.FunctionObjective`."
)
_MATCHES = "Call `trainer.evaluate(opponents)`."
_SNAPSHOTS = (
    "A state tree would lack the optimisers of critics and the curves. Use "
    "`trainer.take_snapshot()` and `trainer.put_back(snapshot)`."
)
_METRICS = "A trainer logs its own metrics, and those of its learners."

# By method, what to say about missing or unnamed arguments, and about those
# that Keras has and a trainer has not.
_ADVICE = {
    "fit": f"{_NO_DATA} Call `fit(epochs=..., steps_per_epoch=...)`.",
    "compile": "It takes an optimiser, and everything else by keyword.",
    "evaluate": (
        "Pass the opponents to play against, such as "
        '{"tit_for_tat": dice_tf.policies.tit_for_tat}.'
    ),
}
_HINTS = {
    "fit": {
        "x": _NO_DATA,
        "y": _NO_DATA,
        "batch_size": (
            "The number of episodes of a step is the `batch_size` of the "
            "objective, such as `dice_tf.objectives.DiCEObjective`."
        ),
        "validation_data": "Pass `validation_opponents`.",
        "validation_split": "Pass `validation_opponents`.",
        "validation_steps": "Pass `validation_batch_size`.",
        "shuffle": _NO_DATA,
        "class_weight": _NO_DATA,
        "sample_weight": _NO_DATA,
    },
    "compile": {
        "loss": _VALUES,
        "loss_weights": _VALUES,
        "metrics": _METRICS,
        "weighted_metrics": _METRICS,
        "auto_scale_loss": _VALUES,
    },
    "evaluate": {
        "x": _NO_DATA,
        "y": _NO_DATA,
        "sample_weight": _NO_DATA,
        "verbose": "Nothing is printed.",
        "steps": "Pass `batch_size`, the number of episodes of each match.",
        "callbacks": "Pass callbacks to `fit`.",
        "return_dict": "The result is always a dictionary.",
    },
}


def explained(method: Callable) -> Callable:
    """Makes errors about arguments of a method say what to do instead.

    Args:
      method: a method that Keras has with other arguments.
    """
    signature = inspect.signature(method)
    name = method.__name__

    @functools.wraps(method)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            hints = _HINTS[name]
            found = [
                hints[argument] for argument in kwargs if argument in hints
            ]
            advice = " ".join(dict.fromkeys(found)) or _ADVICE[name]
            raise TypeError(f"`{name}`: {error}. {advice}") from None
        return method(*args, **kwargs)

    return checked


def _refused(name: str, instead: str) -> Callable:
    """Returns a method that raises, and says what to do instead."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        raise NotImplementedError(
            f"`{name}` is not available for a trainer. {instead}"
        )

    refuse.__name__ = name
    refuse.__doc__ = f"Is not available. {instead}"
    return refuse


class DatalessModel(keras.Model):
    """A Keras model without inputs, outputs and losses of its own.

    It refuses what `keras.Model` has for these, with what to do instead.
    """

    call = _refused("call", _POLICIES)
    stateless_call = _refused("stateless_call", _POLICIES)
    predict = _refused("predict", _POLICIES)
    predict_on_batch = _refused("predict_on_batch", _POLICIES)
    predict_step = _refused("predict_step", _POLICIES)
    train_on_batch = _refused(
        "train_on_batch", f"{_NO_DATA} `trainer.fit()` makes one iteration."
    )
    test_on_batch = _refused("test_on_batch", f"{_NO_DATA} {_MATCHES}")
    test_step = _refused("test_step", f"{_NO_DATA} {_MATCHES}")
    compute_loss = _refused("compute_loss", _VALUES)
    compute_metrics = _refused("compute_metrics", _METRICS)
    stateless_compute_loss = _refused("stateless_compute_loss", _VALUES)
    add_loss = _refused("add_loss", _VALUES)
    save = _refused("save", _FILES)
    to_json = _refused("to_json", _FILES)
    get_config = _refused("get_config", _FILES)
    from_config = classmethod(_refused("from_config", _FILES))
    get_compile_config = _refused("get_compile_config", _FILES)
    compile_from_config = _refused("compile_from_config", _FILES)
    export = _refused(
        "export",
        "Export its policies, each by "
        "`dice_tf.export.export_policy(policy, path)`.",
    )
    quantize = _refused(
        "quantize",
        "Its parameters must stay floating to be trained. Export a policy, "
        "and quantise what was exported.",
    )
    get_state_tree = _refused("get_state_tree", _SNAPSHOTS)
    set_state_tree = _refused("set_state_tree", _SNAPSHOTS)
