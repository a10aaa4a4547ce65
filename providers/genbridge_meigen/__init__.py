"""genbridge's plugin for meigen."""
