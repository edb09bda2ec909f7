"""Trajectories that come from a tf.data pipeline instead of our games.

The simulator yields one episode at a time, of any length, as one in another
process would; the pipeline pads and batches them, and a discount of 0 ends
each. Here a buyer bids 0, 1 or 2 until an offer is accepted.
"""

import keras
import numpy as np
import tensorflow as tf

import dice_tf


def episodes(policy, rng, longest=8):
    """Yields bids, rewards and discounts, one row per step."""
    while True:
        probs = tf.nn.softmax(policy(tf.ones([1, 1])))[0].numpy()
        steps, accepted = [], False
        while not accepted and len(steps) < longest:
            bid = rng.choice(3, p=probs / probs.sum())
            accepted = rng.uniform() < (0.0, 0.6, 0.9)[bid]
            reward, discount = (3.0 - bid, 0.0) if accepted else (0.0, 0.9)
            steps.append((bid, reward, discount))
        yield np.array(steps, np.float32)


def pipeline(policy, batch_size):
    data = tf.data.Dataset.from_generator(
        lambda: episodes(policy, np.random.default_rng(0)),
        output_signature=tf.TensorSpec([None, 3]),
    )
    data = data.padded_batch(batch_size)
    # To bids, rewards and discounts, each [T, B].
    data = data.map(lambda x: tuple(tf.unstack(tf.transpose(x, [2, 1, 0]))))
    # Gradients need the current policy's play: nothing may be drawn ahead.
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def main(num_steps=30, batch_size=32):
    policy = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    optimizer = keras.optimizers.Adam(0.2)
    for batch in pipeline(policy, batch_size).take(num_steps):
        bids, rewards, discounts = batch
        with tf.GradientTape() as tape:
            log_probs = tf.nn.log_softmax(policy(tf.ones([1, 1])))[0]
            chosen = tf.gather(log_probs, tf.cast(bids, tf.int32))
            loss = -dice_tf.dice_objective(chosen, rewards, discount=discounts)
        weights = policy.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
    probs = tf.exp(log_probs).numpy()
    print(f"Probabilities of bids 0, 1, 2: {probs.round(2)}")
    return probs


if __name__ == "__main__":
    main()
