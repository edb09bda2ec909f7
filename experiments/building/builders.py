"""From settings to a game, policies, learners, optimisers and a trainer."""

import contextlib
import functools
import json
import os
import zipfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import dice_tf

from ..command_line.flag_parsers import NONE
from ..settings.line_up import (
    HOLA,
    LEARNERS,
    LOLA_DICE,
    LOLA_DICE_OPPONENT_MODEL,
    LOQA,
    OPPONENTS,
    POLA,
)
from ..settings.matrix_games import TANDEM
from ..settings.training_flags import (
    CRITIC,
    MIN_GRU,
    MLP,
    NEARLY_EVEN,
    NO_BASELINE,
    NORMAL,
    OUTPUTS,
    RECURRENT,
    TABULAR,
)
from ..settings.training_settings import (
    EXACT,
    SURROGATE,
    TrainingSettings,
)
from .tandem import tandem_objective, tandem_starts

Learner = dice_tf.learners.Learner

# The length of a game whose values have an infinite horizon.
_SOME_LENGTH = 150
# Players that start nearly undecided have logits up to this.
_NEARLY_EVEN = 0.3
# Of what a `.keras` file says of itself, and of that in an error.
_MOST_BYTES, _MOST_CHARACTERS = 2**16, 100
# Describes the machines of --strategy=multi_worker.
_CLUSTER = "TF_CONFIG"

# Learners with one setting, the rate of the steps that they imagine.
_IMAGINING: dict[str, Callable[[float], Learner]] = {
    "look_ahead": dice_tf.learners.LookAhead,
    "lola": dice_tf.learners.LOLA,
    "lola_full_gradient": dice_tf.learners.LOLAFullGradient,
    # The objective makes it a control: it has no shaping term.
    "lola_surrogate": lambda rate: dice_tf.learners.LOLADiCE(1, rate),
    "sos": dice_tf.learners.SOS,
    "competitive": dice_tf.learners.CompetitiveGradientDescent,
    "extragradient": dice_tf.learners.Extragradient,
    "cola": dice_tf.learners.COLA,
}
# Learners whose defaults are those of the literature.
_OTHERS: dict[str, Callable[[], Learner]] = {
    "naive": dice_tf.learners.Naive,
    "consensus": dice_tf.learners.Consensus,
    "symplectic": dice_tf.learners.SymplecticGradientAdjustment,
    "locally_stable": dice_tf.learners.LocalSymplecticSurgery,
    "actor_critic": dice_tf.learners.ActorCritic,
    "advantage_alignment": dice_tf.learners.AdvantageAlignment,
    "loqa": dice_tf.learners.LOQA,
}
# Critics of action values learn from the actions that were taken next, as
# their slow copies value them.
_OF_ACTION_CRITICS = {"critic_td_lambda": 0.0, "critic_target_momentum": 0.99}


# How POLA solves its problem, beside the rate of imagined steps. A step of the
# same rate moves a network much further than a table.
_PROXIMAL_TABLE = {
    "num_outer_steps": 20,
    "outer_learning_rate": 1.0,
    "outer_penalty": 0.3,
}
_PROXIMAL_NETWORK = {
    "num_outer_steps": 50,
    "outer_learning_rate": 0.02,
    "outer_penalty": 0.5,
}


def build_game(settings: Any) -> dice_tf.games.FiniteGame:
    """Returns the iterated matrix game of a training, match or tournament.

    Args:
      settings: has a `game`, and its `payoffs` if it is a user's own. With
        `episode_length=None` values have an infinite horizon.
    """
    length = settings.episode_length or _SOME_LENGTH
    if settings.payoffs is not None:
        return dice_tf.games.iterated_matrix_game(settings.payoffs, length)
    return getattr(dice_tf.games, f"iterated_{settings.game}")(length)


def is_prisoners_dilemma(game: dice_tf.games.FiniteGame) -> bool:
    """Tells whether a game has the payoffs of the prisoner's dilemma."""
    known = dice_tf.games.iterated_prisoners_dilemma()
    return np.array_equal(game.rewards, known.rewards)


def fixed_opponent(
    source: str, game: dice_tf.games.FiniteGame, player_id: int
) -> keras.Model:
    """Returns the policy of one of `OPPONENTS`, or of a SavedModel."""
    if source in OPPONENTS:
        return getattr(dice_tf.policies, source)(game, player_id)
    return dice_tf.policies.from_saved_model(source)


def build_policy(
    settings: TrainingSettings, game: dice_tf.games.FiniteGame, player_id: int
) -> keras.Model:
    """Returns the policy of a seat, learning or fixed."""
    learner = settings.learner[player_id]
    policy = settings.policy[player_id]
    if learner not in LEARNERS:
        return fixed_opponent(learner, game, player_id)
    if policy == MLP:
        return dice_tf.policies.mlp(
            game, player_id, hidden_units=settings.hidden_units[player_id]
        )
    if policy in RECURRENT:
        return getattr(dice_tf.policies, policy)(game, player_id)
    if policy != TABULAR:
        return load_policy(policy, settings.trust_policy_files)
    return dice_tf.policies.tabular(
        game, player_id, initializer=_initializer(settings.initial_logits)
    )


def load_policy(path: str, is_trusted: bool = False) -> keras.Model:
    """Loads a Keras model of the user's own.

    Raises:
      ValueError: if it cannot be loaded; in Keras' safe mode, which is on for
        files that are not trusted, also if the file holds or names a program.
    """
    if is_trusted:
        # Not an argument of `load_model` alone: parameters are drawn anew from
        # the model's configuration, which holds the same code.
        keras.config.enable_unsafe_deserialization()
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        message = f"--policy={path} cannot be loaded: {error}"
        message += _writer_of(path)
        # Keras has no class for what its safe mode refuses.
        if "safe_mode" in str(error):
            message += (
                " If you trust whoever wrote the file and the SavedModels that "
                "it names, give --trust_policy_files."
            )
        raise ValueError(message) from error


def _writer_of(path: str) -> str:
    """Returns a sentence on which Keras wrote a `.keras` file, or nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            with archive.open("metadata.json") as file:
                metadata = json.loads(file.read(_MOST_BYTES))
        version = str(metadata["keras_version"])
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile):
        return ""
    return (
        f" The file was written by Keras {version[:_MOST_CHARACTERS]}, and "
        f"this is Keras {keras.__version__}."
    )


def _initializer(name: str) -> keras.initializers.Initializer:
    """Returns what the logits of a table start from."""
    if name == NORMAL:
        return keras.initializers.RandomNormal(0.0, 1.0)
    bound = _NEARLY_EVEN if name == NEARLY_EVEN else 1.0
    return keras.initializers.RandomUniform(-bound, bound)


def build_critic(
    settings: TrainingSettings, game: dice_tf.games.FiniteGame, player_id: int
) -> keras.Model:
    """Returns a critic: a network for our own networks, else a table."""
    options = {"action_values": LOQA in settings.learner}
    if settings.policy[player_id] == MLP:
        return dice_tf.critics.mlp_critic(
            game,
            player_id,
            hidden_units=settings.hidden_units[player_id],
            **options,
        )
    if settings.policy[player_id] == MIN_GRU:
        return dice_tf.critics.min_gru_critic(game, player_id, **options)
    if settings.policy[player_id] in RECURRENT:
        return dice_tf.critics.gru_critic(game, player_id, **options)
    return dice_tf.critics.tabular_critic(game, player_id, **options)


def build_learner(
    settings: TrainingSettings,
    game: dice_tf.games.FiniteGame | None,
    player_id: int,
) -> Learner | None:
    """Returns the learner of a player, `None` if it does not learn."""
    name = settings.learner[player_id]
    if name not in LEARNERS:
        return None
    learner = _update_rule(settings, player_id)
    if settings.step_space[player_id] == OUTPUTS:
        learner = dice_tf.learners.OutputSpace(learner)
    if name != LOLA_DICE_OPPONENT_MODEL:
        return learner
    models = [
        None
        if seat == player_id
        else _build_model(settings, game, player_id, seat)
        for seat in range(settings.num_players)
    ]
    return dice_tf.opponent_models.OpponentModelling(learner, models)


def _update_rule(settings: TrainingSettings, player_id: int) -> Learner:
    """Returns the learner of a player, apart from what is put around it."""
    name = settings.learner[player_id]
    number = settings.num_lookaheads[player_id]
    rate = settings.inner_learning_rate[player_id]
    if name in (LOLA_DICE, LOLA_DICE_OPPONENT_MODEL):
        learner = dice_tf.learners.LOLADiCE(number, rate)
        weight = settings.look_ahead_weight[player_id]
        if weight in (None, 1.0):
            return learner
        naive = dice_tf.learners.Naive()
        return dice_tf.learners.Mixture(
            [(weight, learner), (1.0 - weight, naive)]
        )
    if name == HOLA:
        return dice_tf.learners.HOLA(number, rate)
    if name == POLA:
        is_table = settings.policy[player_id] in (None, TABULAR)
        proximal = _PROXIMAL_TABLE if is_table else _PROXIMAL_NETWORK
        return dice_tf.learners.POLA(**proximal, inner_learning_rate=rate)
    if name in _IMAGINING:
        return _IMAGINING[name](rate)
    return _OTHERS[name]()


def _build_model(
    settings: TrainingSettings,
    game: dice_tf.games.FiniteGame,
    player_id: int,
    seat: int,
) -> keras.Model:
    """Returns a player's model of another: of its kind, a table if it is fixed.

    Keras draws weights by a state that no flag sets, and the trainer does not
    draw those of models. They are the same in all runs, whose seeds are their
    own: a run is the same with others and alone.
    """
    if settings.learner[seat] in LEARNERS:
        model = build_policy(settings, game, seat)
    else:
        model = dice_tf.policies.tabular(game, seat)
    drawn = dice_tf.policies.initial_params(model, [player_id, seat])
    for variable, value in zip(model.trainable_variables, drawn, strict=True):
        variable.assign(value)
    return model


def build_optimizer(
    settings: TrainingSettings, player_id: int
) -> keras.optimizers.Optimizer | None:
    """Returns the optimiser of a player's real updates, if it learns."""
    if settings.learner[player_id] not in LEARNERS:
        return None
    rate = settings.learning_rate[player_id]
    last = settings.final_learning_rate[player_id]
    if last != rate:
        rate = keras.optimizers.schedules.PolynomialDecay(
            rate, max(settings.num_iterations - 1, 1), last
        )
    config = {"learning_rate": rate}
    if settings.momentum[player_id]:
        config["momentum"] = settings.momentum[player_id]
    return _optimizer(settings.optimizer[player_id], config)


def build_objective(
    settings: TrainingSettings,
    game: dice_tf.games.FiniteGame,
    policies: list[keras.Model],
) -> dice_tf.objectives.Objective:
    """Returns the objective that all players share."""
    if settings.objective == EXACT:
        return dice_tf.objectives.ExactObjective(
            game,
            policies,
            discount=settings.discount,
            episode_length=settings.episode_length,
        )
    is_plain = settings.baseline == NO_BASELINE
    sampled = {
        "discount": settings.discount,
        "batch_size": settings.batch_size,
        "baseline": None if is_plain else settings.baseline,
        "tau": settings.tau,
    }
    if settings.baseline == CRITIC:
        sampled["critics"] = [
            build_critic(settings, game, player_id)
            for player_id in range(settings.num_players)
        ]
    if LOQA in settings.learner:
        sampled |= _OF_ACTION_CRITICS
    if settings.objective == SURROGATE:
        return dice_tf.objectives.SurrogateObjective(game, policies, **sampled)
    return dice_tf.objectives.DiCEObjective(
        game, policies, lambda_=settings.loaded_lambda, **sampled
    )


@functools.cache
def build_strategy(name: str) -> tf.distribute.Strategy | None:
    """Returns the strategy of --strategy, the same object each time.

    A strategy of several workers waits for them, and has to be built before
    TensorFlow does anything else.

    Raises:
      ValueError: if no cluster is described.
    """
    if name == NONE:
        return None
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if not os.environ.get(_CLUSTER):
        raise ValueError(
            f"--strategy={name} needs the environment variable {_CLUSTER}, "
            "another one on each machine, such as "
            '\'{"cluster": {"worker": ["host_a:12345", "host_b:12345"]}, '
            '"task": {"type": "worker", "index": 0}}\'.'
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def build_trainer(settings: TrainingSettings) -> dice_tf.Trainer:
    """Returns a trainer, to be compiled, whose parameters are random."""
    # A strategy of several workers has to be built first.
    strategy = build_strategy(settings.strategy)
    players = range(settings.num_players)
    if settings.game == TANDEM:
        game, objective = None, tandem_objective()
        starts = tandem_starts(settings.num_seeds, settings.seed)
    else:
        game, starts = build_game(settings), "random"
        policies = [build_policy(settings, game, player) for player in players]
        objective = build_objective(settings, game, policies)
    return dice_tf.Trainer(
        objective,
        [build_learner(settings, game, player) for player in players],
        num_seeds=settings.num_seeds,
        seed=settings.seed,
        initial_params=starts,
        entropy_coefficient=[
            value or 0.0 for value in settings.entropy_coefficient
        ],
        max_gradient_norm=list(settings.max_gradient_norm),
        strategy=strategy,
    )


def compile_trainer(
    trainer: dice_tf.Trainer,
    settings: TrainingSettings,
    steps_per_execution: int,
) -> None:
    """Gives the trainer one optimiser per player."""
    players = range(settings.num_players)
    strategy = build_strategy(settings.strategy)
    with strategy.scope() if strategy else contextlib.nullcontext():
        optimizers = [build_optimizer(settings, player) for player in players]
        critic_optimizers = _critic_optimizers(settings)
    trainer.compile(
        optimizer=optimizers,
        critic_optimizer=critic_optimizers,
        jit_compile=settings.jit_compile,
        steps_per_execution=steps_per_execution,
    )


def _critic_optimizers(
    settings: TrainingSettings,
) -> list[keras.optimizers.Optimizer] | str:
    """Returns one optimiser per critic; without critics, any will do."""
    if settings.critic_optimizer is None:
        return "adam"
    return [
        _optimizer(settings.critic_optimizer, {"learning_rate": rate})
        for rate in settings.critic_learning_rate
    ]


def _optimizer(name: str, config: dict) -> keras.optimizers.Optimizer:
    return keras.optimizers.get({"class_name": name, "config": config})
