"""How many nodes a set of pods needs: capacity, constraints, plans, and the month replayed."""
