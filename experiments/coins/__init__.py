"""The Coin Game: training, statistics and pictures."""
