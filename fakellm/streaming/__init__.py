"""Where a completion is cut and in what order its pieces leave."""
