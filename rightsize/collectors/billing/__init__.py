"""The bill as finance has it: AWS Data Exports (CUR 2.0, FOCUS) and the older Cost and Usage Report."""
