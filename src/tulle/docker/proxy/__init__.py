"""The Docker API proxy: containers made through it join the network before their command runs."""
