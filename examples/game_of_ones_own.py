"""A game of one's own: two fishers and a lake that recovers by chance.

A game is pure functions of tensors. `reset` and `step` take a seed, from which
all randomness comes, and what changes is the state. Any Keras model plays it;
`dice_tf.check_game` says what is wrong with a game before it is played.
"""

import keras
import tensorflow as tf

import dice_tf


class Lake(dice_tf.games.Game):
    """Both take a fifth of the stock, or a third; what is left grows."""

    num_players = 2
    num_actions = (2, 2)
    observation_shapes = ((1,), (1,))
    episode_length = 20
    dtype = tf.float32

    def reset(self, seed, batch_size):
        del seed
        stock = tf.ones([batch_size], self.dtype)
        return stock, self._time_step(stock, [tf.zeros_like(stock)] * 2)

    def step(self, state, actions, seed):
        catches = [tf.where(a == 0, 0.2, 0.33) * state for a in actions]
        growth = 1.5 + dice_tf.seeds.uniform(seed, state.shape, self.dtype)
        stock = tf.minimum(1.0, (state - tf.add_n(catches)) * growth)
        return stock, self._time_step(stock, catches)

    def _time_step(self, stock, rewards):
        observations = (stock[:, tf.newaxis],) * self.num_players
        return dice_tf.games.TimeStep(
            observations, tuple(rewards), discounts=tf.ones_like(stock)
        )


def main(num_epochs=5):
    keras.utils.set_random_seed(0)
    game = Lake()
    dice_tf.check_game(game)
    policies = [dice_tf.policies.mlp(game, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, 0.96, batch_size=32, baseline="leave_one_out"
    )
    learner = dice_tf.learners.LOLADiCE(1, inner_learning_rate=0.3)
    trainer = dice_tf.Trainer(objective, [learner, learner])
    trainer.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    trainer.fit(epochs=num_epochs, steps_per_epoch=10, verbose=0)
    first, last = trainer.curves[[0, -1], 0].mean(axis=-1)
    print(f"Catch per step: {first:.3f} -> {last:.3f}")
    return first, last


if __name__ == "__main__":
    main()
