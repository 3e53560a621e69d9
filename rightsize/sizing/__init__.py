"""What each container needs: history, policies, guards, the mesh default and its overrides."""
