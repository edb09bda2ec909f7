"""From settings to a game, policies, learners, optimisers and a trainer."""

import contextlib

import keras
import numpy as np

import dice_tf
from experiments.building.game_builder import build_named_game
from experiments.building.learner_builders import learner_of
from experiments.building.strategies import build_strategy
from experiments.building.tandem import tandem_objective, tandem_starts
from experiments.settings.line_up import (
    LEARNERS,
    LOLA_DICE_OPPONENT_MODEL,
    is_saved_model,
)
from experiments.settings.named_games import TANDEM
from experiments.settings.player_flags import (
    CRITIC,
    MLP,
    NEARLY_EVEN,
    NO_BASELINE,
    NORMAL,
    TABULAR,
)
from experiments.settings.settings import Settings
from experiments.settings.shared_settings import EXACT, SURROGATE

# Of the game, where values have an infinite horizon.
_SOME_LENGTH = 150
# Largest logit that players start with who are next to undecided.
_NEARLY_EVEN = 0.3


def build_game(settings: Settings) -> dice_tf.games.FiniteGame:
    """Returns the game that is played."""
    length = settings.episode_length or _SOME_LENGTH
    return build_named_game(settings.game, settings.payoffs, length)


def is_prisoners_dilemma(game: dice_tf.games.FiniteGame) -> bool:
    """Tells whether a game has the payoffs of the prisoner's dilemma."""
    known = dice_tf.games.iterated_prisoners_dilemma()
    return np.array_equal(game.rewards, known.rewards)


def build_policy(
    settings: Settings, game: dice_tf.games.FiniteGame, player_id: int
) -> keras.Model:
    """Returns the policy of a seat, learning or fixed."""
    learner = settings.learner[player_id]
    if learner in LEARNERS:
        if settings.policy[player_id] == MLP:
            return dice_tf.policies.mlp(
                game, player_id, hidden_units=settings.hidden_units[player_id]
            )
        if settings.policy[player_id] != TABULAR:
            return keras.models.load_model(settings.policy[player_id])
        return dice_tf.policies.tabular(
            game,
            player_id,
            initializer=_initializer(settings.initial_logits),
        )
    if is_saved_model(learner):
        return dice_tf.policies.from_saved_model(learner)
    return getattr(dice_tf.policies, learner)(game, player_id)


def _initializer(name: str) -> keras.initializers.Initializer:
    """Returns what the logits of a table start from."""
    if name == NORMAL:
        return keras.initializers.RandomNormal(0.0, 1.0)
    bound = _NEARLY_EVEN if name == NEARLY_EVEN else 1.0
    return keras.initializers.RandomUniform(-bound, bound)


def build_critic(
    settings: Settings, game: dice_tf.games.FiniteGame, player_id: int
) -> keras.Model:
    """Returns a critic: a table, or a network where the policy is ours."""
    if settings.policy[player_id] == MLP:
        return dice_tf.critics.mlp_critic(
            game, player_id, hidden_units=settings.hidden_units[player_id]
        )
    return dice_tf.critics.tabular_critic(game, player_id)


def build_learner(
    settings: Settings, game: dice_tf.games.FiniteGame | None, player_id: int
) -> dice_tf.learners.Learner | None:
    """Returns how a player learns, `None` if it does not."""
    learner = learner_of(
        settings.learner[player_id],
        settings.num_lookaheads[player_id],
        settings.inner_learning_rate[player_id],
        is_network=settings.policy[player_id] not in (None, TABULAR),
    )
    if settings.learner[player_id] != LOLA_DICE_OPPONENT_MODEL:
        return learner
    models = [
        None if seat == player_id else _build_model(settings, game, seat)
        for seat in range(settings.num_players)
    ]
    return dice_tf.opponent_models.OpponentModelling(learner, models)


def _build_model(
    settings: Settings, game: dice_tf.games.FiniteGame, player_id: int
) -> keras.Model:
    """Returns a model of a player: what it is, or a table if it is fixed."""
    if settings.learner[player_id] in LEARNERS:
        return build_policy(settings, game, player_id)
    return dice_tf.policies.tabular(game, player_id)


def build_optimizer(
    settings: Settings, player_id: int
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
    settings: Settings,
    game: dice_tf.games.FiniteGame,
    policies: list[keras.Model],
) -> dice_tf.objectives.Objective:
    """Returns the objective that all players share."""
    if settings.objective == EXACT:
        return dice_tf.objectives.ExactObjective(
            game, policies, settings.discount, settings.episode_length
        )
    sampled = {
        "discount": settings.discount,
        "batch_size": settings.batch_size,
        "baseline": settings.baseline,
        "tau": settings.tau,
    }
    if settings.baseline == NO_BASELINE:
        sampled["baseline"] = None
    if settings.baseline == CRITIC:
        sampled["critics"] = [
            build_critic(settings, game, player_id)
            for player_id in range(settings.num_players)
        ]
    if settings.objective == SURROGATE:
        return dice_tf.objectives.SurrogateObjective(game, policies, **sampled)
    return dice_tf.objectives.DiCEObjective(
        game, policies, lambda_=settings.loaded_lambda, **sampled
    )


def build_trainer(settings: Settings) -> dice_tf.Trainer:
    """Returns a trainer, to be compiled, whose parameters are random."""
    if settings.game == TANDEM:
        return _build_tandem_trainer(settings)
    strategy = build_strategy(settings.strategy)
    game = build_game(settings)
    players = range(settings.num_players)
    policies = [build_policy(settings, game, player) for player in players]
    return dice_tf.Trainer(
        build_objective(settings, game, policies),
        [build_learner(settings, game, player) for player in players],
        num_seeds=settings.num_seeds,
        seed=settings.seed,
        initial_params="random",
        entropy_coefficient=[
            value or 0.0 for value in settings.entropy_coefficient
        ],
        max_gradient_norm=list(settings.max_gradient_norm),
        strategy=strategy,
    )


def _build_tandem_trainer(settings: Settings) -> dice_tf.Trainer:
    players = range(settings.num_players)
    return dice_tf.Trainer(
        tandem_objective(),
        [build_learner(settings, None, player) for player in players],
        num_seeds=settings.num_seeds,
        seed=settings.seed,
        initial_params=tandem_starts(settings.num_seeds, settings.seed),
        max_gradient_norm=list(settings.max_gradient_norm),
    )


def compile_trainer(
    trainer: dice_tf.Trainer, settings: Settings, steps_per_execution: int
) -> None:
    """Gives the trainer one optimiser per player."""
    players = range(settings.num_players)
    strategy = build_strategy(settings.strategy)
    with strategy.scope() if strategy else contextlib.nullcontext():
        optimizers = [build_optimizer(settings, own) for own in players]
        critic_optimizers = _critic_optimizers(settings)
    trainer.compile(
        optimizer=optimizers,
        critic_optimizer=critic_optimizers,
        jit_compile=settings.jit_compile,
        steps_per_execution=steps_per_execution,
    )


def _critic_optimizers(
    settings: Settings,
) -> list[keras.optimizers.Optimizer] | str:
    """Returns one optimiser per critic; where there is none, any will do."""
    if settings.critic_optimizer is None:
        return "adam"
    return [
        _optimizer(settings.critic_optimizer, {"learning_rate": rate})
        for rate in settings.critic_learning_rate
    ]


def _optimizer(name: str, config: dict) -> keras.optimizers.Optimizer:
    return keras.optimizers.get({"class_name": name, "config": config})
