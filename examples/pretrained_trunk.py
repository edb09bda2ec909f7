"""A policy with a pretrained Keras trunk.

Nothing is downloaded: a small trunk learns here to tell how many players
defected last, is saved as a `.keras` file, and comes back as what a trunk of
yours would be. With a layer of its own upon it, it learns to face
tit for tat.
"""

import pathlib
import tempfile

import keras
import numpy as np

import dice_tf

# Of the observations CC, CD, DC, DD, start.
DEFECTORS = np.array([0.0, 1.0, 1.0, 2.0, 0.0])


def pretrain(path, epochs):
    inputs = keras.Input((5,))
    x = keras.layers.Dense(16, activation="tanh")(inputs)
    # keras.layers.LayerNormalization has wrong second derivatives.
    features = dice_tf.layers.SafeLayerNormalization()(x)
    task = keras.Model(inputs, keras.layers.Dense(1)(features))
    task.compile(keras.optimizers.Adam(0.02), "mse")
    kinds = np.random.default_rng(0).integers(5, size=500)
    task.fit(np.eye(5)[kinds], DEFECTORS[kinds], epochs=epochs, verbose=0)
    keras.Model(inputs, features).save(path)


def main(pretraining_epochs=10, epochs=3):
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "trunk.keras")
        pretrain(path, pretraining_epochs)
        trunk = keras.saving.load_model(path)
    trunk.trainable = True  # With False, it stays as it came.
    observation = keras.Input((5,))
    log_odds = keras.layers.Dense(1)(trunk(observation))
    policy = keras.Model(observation, log_odds)
    error = dice_tf.check_policy(policy)
    game = dice_tf.games.iterated_prisoners_dilemma()
    policies = [policy, dice_tf.policies.tit_for_tat(game, 1)]
    objective = dice_tf.objectives.ExactObjective(game, policies)
    learner = dice_tf.learners.LOLADiCE(1, inner_learning_rate=0.1)
    trainer = dice_tf.Trainer(objective, [learner, None])
    trainer.compile(keras.optimizers.SGD(0.05))
    trainer.fit(epochs=epochs, steps_per_epoch=20, verbose=0)
    first, last = trainer.curves[[0, -1], 0, 0]
    print(f"Error of second derivatives: {error:.0e}")
    print(f"Return against tit for tat: {first:.2f} -> {last:.2f}")
    return first, last


if __name__ == "__main__":
    main()
