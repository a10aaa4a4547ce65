"""A kit for provider authors and for users who test their own code."""
