"""Reads images from data sets, and makes batches of views from them."""
