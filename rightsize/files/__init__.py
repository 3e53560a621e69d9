"""Files as users keep them: YAML with positions, embedded documents, and whose file it is."""
