"""What AWS knows: shapes, prices, commitments, the cluster's machines, and the bill."""
