"""Rules by which image processors turn the size of an image into patches of an encoder and tokens of a prompt."""
