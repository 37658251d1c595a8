"""Alerts: statements on a timer, and telling somebody when what they find changes its state."""
