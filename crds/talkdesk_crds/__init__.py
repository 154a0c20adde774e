"""The kinds of ``talkdesk-operator.io`` as pydantic models, and the generator of their CRDs.

One file a kind. Nothing here does I/O, and nothing here imports another package of the product: every
process may depend on the kinds, the kinds depend on nobody.
"""
