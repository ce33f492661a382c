"""What a run found, as values that are merged and read by machines: JSON, JUnit XML and GitHub's annotations."""
