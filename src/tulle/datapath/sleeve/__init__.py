"""The carrier in user space: for NAT, small MTUs, and links that nobody may read."""
