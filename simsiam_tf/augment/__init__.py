"""Makes random views of images: keys give parameters, and parameters give pixels."""
