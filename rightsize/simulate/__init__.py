"""What if the mesh were larger, or had no sidecars."""
