"""The plug-in test kit."""
