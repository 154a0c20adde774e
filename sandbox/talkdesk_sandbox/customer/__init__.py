"""What a customer's people do, from a terminal: install the app, open it, let a trial end."""
