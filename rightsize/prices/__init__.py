"""What machines cost: the bundled catalogue, the price book, and the unit price."""
