"""Files as users keep them: YAML with positions, embedded documents, and the owner of the file."""
