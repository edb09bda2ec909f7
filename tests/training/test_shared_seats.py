"""Seats that share parameters: one model in several seats of an objective.

The oracle is the sum over these seats of what each learner says, at parameters
that are equal but tensors of their own.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.callbacks import Checkpoint
from dice_tf.learners import LOLADiCE, Naive
from dice_tf.objectives import DiCEObjective, ExactObjective
from dice_tf.training.fingerprints import fingerprint
from tests import oracles
from tests.toys import ASYMMETRIC, THREE_PLAYERS, iteration_seed

RATE = 0.25
GAME = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
START = np.linspace(-1.0, 1.5, 5)[:, None]


def one_policy(game=GAME):
    policy = dice_tf.policies.tabular(game, 0)
    policy.set_weights([START])
    return policy


def exact(game=GAME):
    return ExactObjective(game, [one_policy(game)] * 2, 0.9)


def sampled(game=GAME, **options):
    policies = [one_policy(game)] * 2
    return DiCEObjective(game, policies, 0.9, batch_size=4, **options)


def with_critics():
    critic = dice_tf.critics.tabular_critic(GAME, 0)
    return sampled(baseline="critic", critics=[critic, critic])


def trainer_of(objective, learners=None, optimizer=None, **arguments):
    compiling = {
        key: arguments.pop(key)
        for key in ("critic_optimizer", "run_eagerly")
        if key in arguments
    }
    learners = learners or [Naive()] * objective.num_players
    trainer = dice_tf.Trainer(objective, learners, **arguments)
    optimizer = optimizer or keras.optimizers.SGD(RATE)
    trainer.compile(optimizer, jit_compile=False, **compiling)
    return trainer


def fit(trainer, steps=1, **arguments):
    return trainer.fit(steps_per_epoch=steps, verbose=0, **arguments)


def params_of(trainer, run=0):
    return [variable.numpy()[run] for variable in trainer.players[0].params]


def summed(objective, learners, values, seed):
    """The sum of the seats' directions at equal parameters."""
    directions = []
    for player_id, learner in enumerate(learners):
        params = [[tf.constant(values)] for _ in learners]
        bound = objective.bind()
        directions.append(
            learner.gradient(bound, params, player_id, seed)[0].numpy()
        )
    return sum(directions)


# --- What moves them --------------------------------------------------------


def test_the_gradient_is_that_of_the_shared_parameters_in_closed_form():
    """Finite differences in each place of the value function."""
    trainer = trainer_of(exact())
    fit(trainer)

    def value(theta, seat):
        thetas = [START, START]
        thetas[seat] = theta
        return oracles.values(ASYMMETRIC, thetas, 0.9, 3)[seat]

    gradient = sum(
        oracles.gradient(lambda x, seat=seat: value(x, seat), START)
        for seat in range(2)
    )
    np.testing.assert_allclose(
        params_of(trainer)[0], START + RATE * gradient, atol=1e-8
    )


@pytest.mark.parametrize(
    ("build", "num_seeds"), [(exact, 1), (exact, 2), (sampled, 2)]
)
def test_the_direction_is_the_sum_over_the_seats(build, num_seeds):
    """Of the same play, for learners that differ, in every run."""
    objective, learners = build(), [LOLADiCE(1, 0.7), Naive()]
    trainer = trainer_of(objective, learners, num_seeds=num_seeds, seed=5)
    before = [params_of(trainer, run)[0] for run in range(num_seeds)]
    fit(trainer)
    for run in range(num_seeds):
        seed = iteration_seed(5 + run, 0)
        direction = summed(objective, learners, before[run], seed)
        np.testing.assert_allclose(
            params_of(trainer, run)[0],
            before[run] + RATE * direction,
            rtol=1e-12,
        )
    assert np.abs(direction).max() > 1e-2


def test_eager_steps_are_those_of_graphs():
    ends = []
    for run_eagerly in (False, True):
        trainer = trainer_of(exact(), run_eagerly=run_eagerly)
        fit(trainer, 2)
        ends.append(params_of(trainer)[0])
    np.testing.assert_allclose(*ends, rtol=1e-12)


def test_entropies_are_added_in_every_seat():
    """Each with the coefficient of its seat."""
    objective = exact()
    trainer = trainer_of(objective, entropy_coefficient=[0.5, 2.0])
    fit(trainer)
    params = [[tf.constant(START)] for _ in range(2)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(params)
        entropies = objective.play(params, None).entropies
    bonus = [tape.gradient(entropies[i], params[i][0]) for i in range(2)]
    direction = summed(objective, [Naive()] * 2, START, None)
    direction += 0.5 * bonus[0].numpy() + 2.0 * bonus[1].numpy()
    np.testing.assert_allclose(
        params_of(trainer)[0], START + RATE * direction, rtol=1e-12
    )
    assert np.abs(bonus).min() > 1e-3


def test_the_sum_is_what_is_clipped_and_measured():
    objective = exact()
    trainer = trainer_of(objective, max_gradient_norm=0.01)
    logs = fit(trainer).history
    direction = summed(objective, [Naive()] * 2, START, None)
    norm = np.linalg.norm(direction)
    for player_id in range(2):
        (found,) = logs[f"player_{player_id}/gradient_norm"]
        assert found == pytest.approx(norm, rel=1e-6)
    np.testing.assert_allclose(
        params_of(trainer)[0],
        START + RATE * 0.01 * direction / norm,
        rtol=1e-12,
    )


def test_a_shared_critic_descends_the_sum_of_the_losses():
    objective = with_critics()
    (critic, _) = [critic.network for critic in objective.critics]
    critic.set_weights([0.3 * START])
    rate = keras.optimizers.SGD(RATE)
    trainer = trainer_of(
        objective, critic_optimizer=rate, seed=7, run_eagerly=True
    )
    fit(trainer)
    play = objective.play(
        [[tf.constant(START)] for _ in range(2)], iteration_seed(7, 0)
    )
    params = [[tf.constant(0.3 * START)] for _ in range(2)]
    with tf.GradientTape() as tape:
        tape.watch(params)
        loss = tf.add_n(objective.critic_losses(params, play))
    gradients = tape.gradient(loss, params)
    expected = 0.3 * START - RATE * (gradients[0][0] + gradients[1][0])
    np.testing.assert_allclose(critic.get_weights()[0], expected, rtol=1e-12)
    assert trainer.players[1].critic_params == []


def three_seats():
    """An objective whose outer seats share, and the parameters of each."""
    game = dice_tf.games.iterated_matrix_game(
        np.random.default_rng(5).normal(size=(3, 2, 2, 2)), 2, dtype="float64"
    )
    shared, single = (dice_tf.policies.tabular(game, i) for i in range(2))
    start = np.random.default_rng(1).normal(size=(2, 9, 1))
    shared.set_weights([start[0]])
    single.set_weights([start[1]])
    return ExactObjective(game, [shared, single, shared], 0.9), start


def test_some_of_three_seats_may_share():
    objective, start = three_seats()
    shared, single, _ = objective.policies
    optimizers = [keras.optimizers.SGD(RATE), keras.optimizers.SGD(0.5), None]
    trainer = trainer_of(objective, optimizer=optimizers)
    fit(trainer)
    params = [[tf.constant(start[i])] for i in (0, 1, 0)]
    found = [Naive().gradient(objective, params, i)[0] for i in range(3)]
    np.testing.assert_allclose(
        shared.get_weights()[0],
        start[0] + RATE * (found[0] + found[2]),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        single.get_weights()[0], start[1] + 0.5 * found[1], rtol=1e-12
    )
    assert trainer.optimizer_of(2) is trainer.optimizer_of(0)


def test_a_symmetric_game_stays_symmetric():
    game = dice_tf.games.iterated_prisoners_dilemma(3, dtype="float64")
    trainer = trainer_of(exact(game), [LOLADiCE(1, 1.0)] * 2, num_seeds=2)
    fit(trainer, 5)
    np.testing.assert_allclose(
        trainer.curves[..., 0], trainer.curves[..., 1], rtol=1e-6
    )
    assert np.abs(np.diff(trainer.curves[:, 0, 0])).min() > 1e-5


# --- Everything else is as before -------------------------------------------


def test_an_interrupted_training_ends_in_the_same_bytes(tmp_path):
    """Curves, parameters, critics and optimisers, of several runs."""

    def make():
        adam = keras.optimizers.Adam(0.1)
        return trainer_of(with_critics(), None, adam, num_seeds=2)

    whole, parts = make(), [make(), make()]
    fit(whole, 2, epochs=3)
    for epochs, part in zip((1, 3), parts, strict=True):
        checkpoint = Checkpoint(tmp_path / "checkpoint", keep=True)
        fit(part, 2, epochs=epochs, callbacks=[checkpoint])
    expected, found = whole.take_snapshot(), parts[1].take_snapshot()
    assert expected.curves.tobytes() == found.curves.tobytes()
    assert expected.curves.shape == (6, 2, 2)
    for one, two in zip(expected.values, found.values, strict=True):
        assert one.tobytes() == two.tobytes()
    assert np.abs(np.diff(expected.curves[:, 0, 0])).min() > 0.0


def test_runs_that_start_at_random_start_alike_in_shared_seats():
    """As the first of these players would alone, in every run."""
    policies = [one_policy(), dice_tf.policies.tabular(GAME, 1)]
    alone = trainer_of(ExactObjective(GAME, policies, 0.9), num_seeds=2)
    shared = trainer_of(exact(), num_seeds=2)
    for run in range(2):
        np.testing.assert_array_equal(
            params_of(shared, run)[0], params_of(alone, run)[0]
        )


def test_weights_that_are_set_on_the_policy_count_in_all_its_seats():
    objective = exact()
    trainer = trainer_of(objective)
    objective.policies[1].set_weights([2.0 * START])
    fit(trainer)
    direction = summed(objective, [Naive()] * 2, 2.0 * START, None)
    np.testing.assert_allclose(
        objective.policies[0].get_weights()[0],
        2.0 * START + RATE * direction,
        rtol=1e-12,
    )


def test_both_seats_export_what_was_learned(tmp_path):
    objective = exact()
    trainer = trainer_of(objective)
    fit(trainer)
    tables = []
    for player_id, policy in enumerate(objective.policies):
        path = tmp_path / f"player_{player_id}"
        dice_tf.export.export_policy(policy, path)
        loaded = tf.saved_model.load(path)
        observations = tf.eye(5, dtype=tf.float64)
        tables.append(loaded.probabilities(observations)["probabilities"])
    cooperate = 1.0 / (1.0 + np.exp(-params_of(trainer)[0][:, 0]))
    for table in tables:
        found = np.sort(table, axis=1)
        expected = np.sort(np.stack([cooperate, 1 - cooperate], 1), axis=1)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_every_seat_is_evaluated():
    found = trainer_of(exact()).evaluate({"random": dice_tf.policies.random})
    assert sorted(found) == [
        f"player_{i}/return_against_random" for i in range(2)
    ]
    assert len(set(found.values())) == 2


def describe(trainer):
    lines = []
    trainer.summary(print_fn=lines.append)
    return lines[0]


def test_a_summary_says_whose_parameters_a_player_has():
    text = describe(trainer_of(exact()))
    assert "player_0: Naive, 5 parameters a run, SGD, rate 0.25" in text
    assert "player_1: Naive, the parameters of player_0, SGD" in text


def test_models_of_opponents_serve_learners_in_shared_seats():
    """Also one that is the shared policy itself, which moves on without it."""
    objective = sampled()
    models = [objective.policies[0], dice_tf.policies.tabular(GAME, 0)]
    learners = [
        dice_tf.opponent_models.OpponentModelling(
            Naive(), order, learning_rate=0.0, num_steps=1
        )
        for order in ([None, models[0]], [models[1], None])
    ]
    trainer = trainer_of(objective, learners, run_eagerly=True)
    fit(trainer, 2)
    state = trainer.players[0].state().learner_state
    np.testing.assert_array_equal(state.params[1][0][0], START)
    assert np.abs(params_of(trainer)[0] - START).max() > 1e-3


def test_frozen_seats_may_share():
    objective, start = three_seats()
    policies = [objective.policies[1], *objective.policies[:1] * 2]
    objective = objective.with_policies(policies)
    trainer = trainer_of(objective, [Naive(), None, None])
    params = [[tf.constant(start[i])] for i in (1, 0, 0)]
    expected = start[1] + RATE * Naive().gradient(objective, params, 0)[0]
    fit(trainer)
    np.testing.assert_allclose(params_of(trainer)[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(policies[1].get_weights()[0], start[0])


def test_a_fixed_policy_in_two_seats_shares_nothing():
    """It has no parameters, and its seats may have learners that differ."""
    fixed = dice_tf.policies.tit_for_tat(GAME, 0)
    objective = ExactObjective(GAME, [fixed, fixed], 0.9)
    start = [[[], []]]
    trainer = dice_tf.Trainer(objective, [Naive(), None], initial_params=start)
    assert trainer.players[1].variables == []
    assert "the parameters of" not in describe(trainer)


def test_no_program_is_shared_with_a_trainer_whose_seats_are_apart():
    policies = [one_policy(), one_policy()]
    apart = trainer_of(ExactObjective(GAME, policies, 0.9))
    keys = [
        fingerprint(trainer._step).key
        for trainer in (apart, trainer_of(exact()), trainer_of(exact()))
    ]
    assert keys[0] != keys[1]
    assert keys[1] == keys[2]


# --- What is refused --------------------------------------------------------


def test_what_another_kind_of_trainer_has_saved_is_refused(tmp_path):
    policies = [one_policy(), one_policy()]
    apart = trainer_of(ExactObjective(GAME, policies, 0.9))
    shared = trainer_of(exact())
    with pytest.raises(ValueError, match="snapshot is that of another trainer"):
        shared.put_back(apart.take_snapshot())
    apart.save_weights(tmp_path / "apart.weights.h5")
    with pytest.raises(ValueError, match="player_1"):
        shared.load_weights(tmp_path / "apart.weights.h5")
    checkpoint = Checkpoint(tmp_path / "checkpoint", keep=True)
    checkpoint.save(apart, 1)
    message = r"`variables.player_1/parameter_0` is 'float64 \[1, 5, 1\]' there"
    with pytest.raises(ValueError, match=message):
        checkpoint.restore(shared)


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_frozen_seat_may_not_share_what_another_one_learns(frozen):
    learners = [Naive(), Naive()]
    learners[frozen] = None
    message = (
        rf"`policies\[0\]` and `policies\[1\]` are one model.*"
        rf"`learners\[{frozen}\]` is None.*"
        rf"`learners\[{1 - frozen}\]` would move"
    )
    for options in ({}, {"num_seeds": 2}):
        with pytest.raises(ValueError, match=message):
            dice_tf.Trainer(exact(), learners, **options)


def test_seats_that_share_are_clipped_to_one_norm():
    with pytest.raises(ValueError, match="same for both.*None and 2.0"):
        dice_tf.Trainer(exact(), [Naive()] * 2, max_gradient_norm=[None, 2.0])


def test_seats_that_share_do_not_move_in_turn():
    with pytest.raises(ValueError, match="`updates` must be 'simultaneous'"):
        dice_tf.Trainer(exact(), [Naive()] * 2, updates="alternating")


def test_one_optimizer_moves_what_is_shared():
    sgd = [keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)]
    with pytest.raises(ValueError, match=r"`optimizer\[1\]` must be None"):
        trainer_of(exact(), optimizer=sgd)
    with pytest.raises(
        ValueError, match=r"`critic_optimizer\[1\]` must be None"
    ):
        trainer_of(with_critics(), critic_optimizer=sgd)


def test_seats_that_share_start_alike():
    start = [[[START], [2.0 * START]]]
    with pytest.raises(ValueError, match="equal arrays for seats 0 and 1"):
        dice_tf.Trainer(exact(), [Naive()] * 2, initial_params=start)
    trainer = trainer_of(exact(), initial_params=[[[START], [START]]])
    np.testing.assert_array_equal(params_of(trainer)[0], START)


class Pooling(keras.Model):
    """Takes observations of any size."""

    def __init__(self, num_outputs):
        super().__init__()
        self.dense = keras.layers.Dense(num_outputs)

    def call(self, x):
        return self.dense(keras.ops.mean(x, axis=-1, keepdims=True))


def critics_of(game, critic):
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    return DiCEObjective(game, policies, 0.9, 4, "critic", [critic, critic])


def test_seats_whose_observations_differ_cannot_share():
    game = dice_tf.games.FiniteGame(
        rewards=np.zeros([2, 2, 2, 2]),
        transitions=np.full([2, 2, 2, 2], 0.5),
        initial=[0.5, 0.5],
        observations=[np.eye(2), np.ones([2, 3])],
        episode_length=2,
    )
    message = (
        r"`policies\[0\]` and `policies\[1\]` are one model.*Seat 0 has "
        r"observations of shape \(2,\) and 2 actions, and seat 1 has "
        r"observations of shape \(3,\) and 2 actions"
    )
    policy = Pooling(1)
    with pytest.raises(ValueError, match=message):
        ExactObjective(game, [policy, policy])
    message = message.replace("policies", "critics")
    with pytest.raises(ValueError, match=message):
        critics_of(game, Pooling(1))


def test_seats_whose_actions_differ_cannot_share():
    game = dice_tf.games.iterated_matrix_game(THREE_PLAYERS, 2)
    policies = [dice_tf.policies.tabular(game, i) for i in range(3)]
    ExactObjective(game, [policies[0], policies[1], policies[0]])
    policies[1] = policies[0]
    with pytest.raises(ValueError, match=r"2 actions, and seat 1 .* 3 actions"):
        ExactObjective(game, policies)


def test_seats_whose_legal_actions_differ_cannot_share():
    mask = np.array([[True, True], [True, False]])

    def game_of(masks):
        return dice_tf.games.FiniteGame(
            rewards=np.zeros([2, 2, 2, 2]),
            transitions=np.full([2, 2, 2, 2], 0.5),
            initial=[0.5, 0.5],
            action_masks=masks,
            episode_length=2,
        )

    for masks, is_alike in (
        ([mask, mask], True),
        ([mask, ~mask | np.eye(2, dtype=bool)], False),
    ):
        game = game_of(masks)
        policy = dice_tf.policies.tabular(game, 0)
        if is_alike:
            ExactObjective(game, [policy, policy])
            continue
        with pytest.raises(ValueError, match="Seats 0 and 1 have other legal"):
            ExactObjective(game, [policy, policy])
