"""Images: their sources, and the pipeline from them to views."""
