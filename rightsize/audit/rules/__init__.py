"""The rules, one module a group; each module adds its rules to the registry when imported."""
