"""Where a completion is cut and in what order its pieces are sent, and how that is read from recorded batches."""
