"""What is written for speed: draws, play, sums over time, table look-ups."""
