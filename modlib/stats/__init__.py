"""Statistics: from seeds to intervals, and the best of many levels without a reward for looking."""
