"""What `make run` shows: a made-up shop, its export files, and the main job over them."""
