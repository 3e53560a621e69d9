"""What makes a proxy big: memory by what it holds, CPU by request, and its metrics in the store."""
