"""The network plugin: Docker's remote network and IPAM drivers, answered by the daemon."""
