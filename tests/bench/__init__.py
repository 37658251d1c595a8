"""`make bench`: speed as ratios in one run. Absolute times differ by machine and hour; ratios hold."""
