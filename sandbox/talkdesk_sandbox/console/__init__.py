"""The console: the marketplace as people see it, and what happens behind it, in a browser.

Served by the Talkdesk stand-in in its own process, on the listener for browsers. What looks at everything is
at ``console.localhost``; an account's own pages are at its identity host, where the cookie is that says who
is signed in there: whoever the console signs in is who the app's launch signs in. Everything is done by the
functions behind the control API, and works without a script: links, forms, POST-redirect-GET.
"""
