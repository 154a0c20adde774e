"""What the console's tests share: an app's server, and forms as a browser sends them."""
