"""What the control routes need beside the applications: how a journal is shown, which parameters a request may have."""
