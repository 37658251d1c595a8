"""Row → fields: which column feeds which field, and what is done to it on the way. No I/O."""
