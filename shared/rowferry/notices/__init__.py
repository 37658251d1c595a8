"""Notices: what people are told, once for each change of state, and how their text is made."""
