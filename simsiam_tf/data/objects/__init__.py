"""Reads images with the boxes and masks of the objects in them, and makes batches of both."""
