"""What is written for speed: draws, play, recurrences, sums, look-ups."""
