"""Training on two replicas is training on one; what does not fit is refused."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.training.distribution import Distribution, is_chief
from tests.strategies import mirrored, two_logical_cpus
from tests.toys import random_params, tabular_policies

pytestmark = pytest.mark.own_process

NAIVE = dice_tf.learners.Naive()


def _trainer(strategy=None, learners=(NAIVE, NAIVE), exact=False, **options):
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policies = tabular_policies(game)
    for policy, params in zip(
        policies, random_params(policies, 3), strict=True
    ):
        policy.set_weights(params)
    if exact:
        objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    else:
        critics = options.pop("critics", None)
        if critics:
            critics = [dice_tf.critics.tabular_critic(game, i) for i in (0, 1)]
        objective = dice_tf.objectives.DiCEObjective(
            game,
            policies,
            0.9,
            options.pop("batch_size", 4),
            "critic" if critics else "leave_one_out",
            critics,
            num_groups=options.pop("num_groups", 1),
        )
    return dice_tf.Trainer(
        objective,
        learners,
        initial_params="random",
        strategy=strategy,
        **options,
    )


def _train(trainer, optimizer="adam", **options):
    trainer.compile(optimizer, jit_compile=False, **options)
    return trainer.fit(steps_per_epoch=2, verbose=0)


def _assert_same(one, two):
    np.testing.assert_allclose(two.curves, one.curves, rtol=1e-5)
    for player, other in zip(one.players, two.players, strict=True):
        for x, y in zip(player.params, other.params, strict=True):
            np.testing.assert_allclose(np.asarray(y), x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"learners": (dice_tf.learners.LOLADiCE(1, 1.0), None)},
        {"num_seeds": 2, "max_gradient_norm": 0.1},
        {"critics": True, "entropy_coefficient": 0.1},
        {"exact": True},
    ],
    ids=["lola_dice", "seeds", "critics", "exact"],
)
def test_two_replicas_train_as_one(options):
    one, two = _trainer(**options), _trainer(mirrored(), **options)
    logs = _train(one).history
    for name, values in _train(two).history.items():
        np.testing.assert_allclose(values, logs[name], rtol=1e-4, atol=1e-6)
    _assert_same(one, two)
    for policy, player in zip(two.objective.policies, two.players, strict=True):
        np.testing.assert_array_equal(
            policy.trainable_variables[0], np.asarray(player.params[0])[0]
        )


def test_players_that_move_in_turn_and_models_that_are_fitted_agree():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    model = dice_tf.policies.tabular(game, 1)
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.3, 1, 1.0)
    modelling = dice_tf.opponent_models.OpponentModelling(
        NAIVE, [None, model], num_steps=1, learning_rate=schedule
    )
    trainers = [
        _trainer(strategy, (modelling, NAIVE), updates="alternating")
        for strategy in (None, mirrored())
    ]
    for trainer in trainers:
        _train(trainer, ["sgd", "sgd"])
    _assert_same(*trainers)


def test_a_trainer_made_in_a_scope_has_its_strategy():
    with mirrored().scope():
        trainer = _trainer()
        _train(trainer, steps_per_execution=2)
    assert trainer.distribute_strategy is mirrored()
    assert trainer.is_chief
    one = _trainer()
    _train(one)
    _assert_same(one, trainer)


def test_weights_that_are_set_on_policies_count_on_all_replicas():
    one, two = _trainer(critics=True), _trainer(mirrored(), critics=True)
    table = [np.linspace(-1.0, 1.0, 5)[:, np.newaxis]]
    for trainer in (one, two):
        _train(trainer)
        trainer.objective.policies[0].set_weights(table)
        trainer.objective.critics[1].network.set_weights(table)
        trainer.fit(verbose=0)
    _assert_same(one, two)
    for trainer in (one, two):
        assert np.abs(trainer.players[0].params[0][0] - table[0]).max() < 0.01
        for player, critic in zip(
            trainer.players, trainer.objective.critics, strict=True
        ):
            np.testing.assert_array_equal(
                critic.network.get_weights()[0],
                np.asarray(player.critic_params[0])[0],
            )


def test_averages_are_taken_over_on_all_replicas():
    one, two = _trainer(), _trainer(mirrored())
    for trainer, scope in ((one, contextlib.nullcontext()), (two, None)):
        with scope or mirrored().scope():
            optimizer = keras.optimizers.SGD(0.5, use_ema=True)
        _train(trainer, optimizer)
    _assert_same(one, two)
    for trainer in (one, two):
        np.testing.assert_array_equal(
            trainer.objective.policies[0].get_weights()[0],
            np.asarray(trainer.players[0].params[0])[0],
        )


def test_weights_saved_without_a_strategy_continue_with_one(tmp_path):
    one, two = _trainer(), _trainer(mirrored())
    _train(one)
    one.save_weights(tmp_path / "one.weights.h5")
    two.compile("adam", jit_compile=False, run_eagerly=True)
    two.load_weights(tmp_path / "one.weights.h5")
    _assert_same(one, two)
    for trainer in (one, two):
        trainer.fit(verbose=0)
    assert two.iterations == 3
    _assert_same(one, two)


def test_xla_is_switched_off_with_one_warning():
    trainer = _trainer(mirrored())
    with pytest.warns(UserWarning, match="XLA is off.*MirroredStrategy") as log:
        trainer.compile("sgd")
    assert len(log) == 1
    assert not trainer._step.is_compiled


def test_the_step_is_traced_once():
    trainer = _trainer(mirrored())
    traces = []
    step = trainer.train_step
    trainer.train_step = lambda data: traces.append(1) or step(data)
    trainer.compile("sgd", jit_compile=False)
    trainer.fit(epochs=3, steps_per_epoch=2, verbose=0)
    assert len(traces) == 1


def test_other_kinds_of_strategies_are_refused():
    for wrong in (tf.distribute.OneDeviceStrategy("CPU:0"), "mirrored"):
        with pytest.raises(TypeError, match="`strategy` must be a tf.distribu"):
            _trainer(wrong)


def test_a_batch_that_cannot_be_split_is_refused_at_once():
    with pytest.raises(ValueError, match="replicas, 2, .*batch_size=5.*is 4"):
        _trainer(mirrored(), batch_size=5)


def test_groups_that_do_not_divide_a_share_are_refused_at_once():
    with pytest.raises(ValueError, match="num_groups=4, for 6 episodes"):
        _trainer(mirrored(), batch_size=12, num_groups=4)


def test_two_strategies_at_once_are_refused():
    other = tf.distribute.MirroredStrategy(two_logical_cpus())
    with other.scope(), pytest.raises(ValueError, match="one strategy at a ti"):
        _trainer(mirrored())
    with other.scope():
        foreign = _trainer().objective
        optimizer = keras.optimizers.SGD(0.1)
    with pytest.raises(ValueError, match="`policies` was made in the scope of"):
        dice_tf.Trainer(foreign, [NAIVE, NAIVE], strategy=mirrored())
    trainer = _trainer(mirrored())
    with other.scope(), pytest.raises(ValueError, match="one strategy at a ti"):
        trainer.compile("sgd")
    for wrong in (optimizer, keras.optimizers.SGD(0.1)):
        with pytest.raises(ValueError, match="`optimizer` was made in the sco"):
            trainer.compile(wrong, jit_compile=False)
    trainer.compile("sgd", jit_compile=False)
    with other.scope(), pytest.raises(ValueError, match="one strategy at a ti"):
        trainer.fit(verbose=0)
    assert trainer.iterations == 0


def test_errors_of_one_machine_are_not_explained_as_lost_workers():
    def fail(data):
        raise tf.errors.AbortedError(None, None, "of another kind")

    distribution = Distribution(mirrored())
    with pytest.raises(tf.errors.AbortedError, match="of another kind"):
        distribution.train_function(fail, True, 1)(None)


@pytest.mark.parametrize(
    ("task", "jobs", "expected"),
    [
        ((None, None), [], True),
        (("worker", 0), ["worker"], True),
        (("worker", 1), ["worker"], False),
        (("worker", 0), ["chief", "worker"], False),
        (("chief", 0), ["chief", "worker"], True),
    ],
)
def test_the_chief_is_the_first_worker(task, jobs, expected, monkeypatch):
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({job: ["localhost:1"] for job in jobs}),
        task_type=task[0] or "",
        task_id=task[1],
    )
    resolver.task_type = task[0]

    class Cluster(tf.distribute.MultiWorkerMirroredStrategy):
        def __init__(self):
            pass

        cluster_resolver = resolver

    assert is_chief(Cluster()) is expected
