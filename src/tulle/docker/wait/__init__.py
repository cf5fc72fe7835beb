"""The static first process of containers made through the proxy; built by scripts/build-wait."""
