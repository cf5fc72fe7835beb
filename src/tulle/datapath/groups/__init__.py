"""Multicast that goes only where somebody listens: who wants which groups, and which copies that saves."""
