"""What the browser tests share: customers of the demo app, people with browsers, and how a bar is seen."""
