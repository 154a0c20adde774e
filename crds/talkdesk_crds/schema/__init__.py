"""Generates the CustomResourceDefinitions from the models: ``python -m talkdesk_crds.schema``.

``structural`` turns a model into a structural schema; ``crd`` wraps it as a CustomResourceDefinition, with
what ``kinds`` says of the kind.
"""
