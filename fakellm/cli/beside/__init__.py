"""What belongs to a server beside its application: tasks that run meanwhile, and the options of its connections."""
