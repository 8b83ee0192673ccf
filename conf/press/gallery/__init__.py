"""sphinx-gallery as used here: hooks around each script, a crew that runs them, thumbnails."""
