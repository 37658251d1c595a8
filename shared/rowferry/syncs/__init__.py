"""What to send: which rows differ, which are new, what a run would do, and whether it may."""
