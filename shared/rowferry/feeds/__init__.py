"""Which feed a file belongs to, and what the feed makes of it."""
