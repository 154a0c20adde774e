"""A reader of the tutorial, who does what it says."""
