"""How the policies of `dice_tf.zoo` are made."""
