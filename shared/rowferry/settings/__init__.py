"""The settings file as frozen models, and the check that finds every problem at once."""
