"""What ambient mode would do for this mesh, namespace by namespace, and what stands in the way."""
