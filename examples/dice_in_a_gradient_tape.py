"""The DiCE objective in a GradientTape of one's own.

Simulator, policy, optimiser and training step are the user's, and know nothing
of dice_tf: a walker that starts at 0 is to stay near position 2. Of dice_tf
there is one function, from log-probabilities and rewards to an objective.
"""

import keras
import tensorflow as tf

import dice_tf


def walk(policy, num_walkers, length=12):
    """Plays; returns log-probabilities and rewards, time-major [T, B]."""
    position = tf.zeros([num_walkers])
    log_probs, rewards = [], []
    for _ in range(length):
        logits = policy(position[:, tf.newaxis] / 4.0)
        action = tf.random.categorical(tf.stop_gradient(logits), 1)[:, 0]
        log_probs.append(
            -tf.nn.sparse_softmax_cross_entropy_with_logits(action, logits)
        )
        position += tf.cast(2 * action - 1, tf.float32)
        rewards.append(-tf.abs(position - 2.0))
    return tf.stack(log_probs), tf.stack(rewards)


def main(num_steps=60, num_walkers=128):
    keras.utils.set_random_seed(0)
    policy = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(2),
        ]
    )
    optimizer = keras.optimizers.Adam(0.05)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            log_probs, rewards = walk(policy, num_walkers)
            objective = dice_tf.dice_objective(
                log_probs, rewards, discount=0.95, baseline="leave_one_out"
            )
            loss = -tf.reduce_mean(objective)
        variables = policy.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return tf.reduce_mean(rewards)

    means = [float(step()) for _ in range(num_steps)]
    print(f"Mean reward: {means[0]:.2f} -> {means[-1]:.2f}")
    return means


if __name__ == "__main__":
    main()
