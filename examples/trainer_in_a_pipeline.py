"""The trainer as one model in a pipeline of Keras models.

A first model estimates the payoffs of a game from noisy records; the trainer
finds policies for that game; a third model serves one of them, from raw
actions to the probability of cooperation. All are Keras models.
"""

import keras
import numpy as np

import dice_tf

ACTIONS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
PAYOFFS = np.array([[-1.0, -1.0], [-3.0, 0.0], [0.0, -3.0], [-2.0, -2.0]])


def estimated_payoffs(num_records=2000):
    rng = np.random.default_rng(0)
    joint = rng.integers(4, size=num_records)
    seen = PAYOFFS[joint] + rng.normal(0.0, 0.5, size=[num_records, 2])
    estimator = keras.Sequential(
        [
            keras.layers.CategoryEncoding(4),
            keras.layers.Dense(2, use_bias=False),
        ]
    )
    estimator.compile(keras.optimizers.Adam(0.1), "mse")
    estimator.fit(joint[:, None], seen, 500, epochs=30, verbose=0)
    each = estimator.predict(np.arange(4)[:, None], verbose=0)
    return each.T.reshape([2, 2, 2])


def serving_model(policy):
    """From the last actions (own, other's) to the probability of action 0."""
    actions = keras.Input((2,), dtype="int32", name="actions")
    joint = 2 * actions[:, :1] + actions[:, 1:]
    log_odds = policy(keras.layers.CategoryEncoding(5, "one_hot")(joint))
    return keras.Model(actions, keras.ops.sigmoid(log_odds))


def main(epochs=10, steps_per_epoch=10):
    payoffs = estimated_payoffs()
    game = dice_tf.games.iterated_matrix_game(payoffs, episode_length=150)
    tabular = dice_tf.policies.tabular
    policies = [tabular(game, seat, initializer="zeros") for seat in range(2)]
    objective = dice_tf.objectives.ExactObjective(game, policies)
    learner = dice_tf.learners.LOLADiCE(1, inner_learning_rate=1.0)
    trainer = dice_tf.Trainer(objective, [learner, learner])
    trainer.compile(keras.optimizers.SGD(1.0))
    trainer.fit(epochs=epochs, steps_per_epoch=steps_per_epoch, verbose=0)
    table = serving_model(policies[0]).predict(ACTIONS, verbose=0)[:, 0]
    print(f"Payoffs: {payoffs.round(2).tolist()}")
    print(f"Cooperation after CC, CD, DC, DD: {table.round(2)}")
    return payoffs, table


if __name__ == "__main__":
    main()
