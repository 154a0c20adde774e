"""A whole Talkdesk marketplace on one machine.

``controlplane`` runs the real Kubernetes API, ``node`` runs pods as local processes, ``talkdesk`` is a
faithful Talkdesk, ``demo`` an app that is sold there; ``environment`` puts them together with the product
by its own chart, and ``story`` plays a customer's life on it and looks at what happened from the outside.
"""
