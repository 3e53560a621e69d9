"""The control plane: what istiod needs, how fast it pushes, when it outgrows what it has."""
