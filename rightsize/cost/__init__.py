"""What a fleet costs, who causes it, and which saving is real. Money in USD."""
