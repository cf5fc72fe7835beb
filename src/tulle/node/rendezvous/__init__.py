"""Shortcuts: direct paths between peers of which neither can dial the other, found with the mesh's help."""
