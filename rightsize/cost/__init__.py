"""What a node set costs, who causes it, and which saving is real. Money in USD."""
